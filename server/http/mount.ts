import type { IncomingMessage, ServerResponse } from 'node:http'
import Koa from 'koa'
import { badJson, forbidden, MatrixError, missingToken, notJson, unrecognized } from '../../shared/matrix/errors.ts'
import { userLocked } from '../accounts/index.ts'
import type { Doorkeeper } from '../federation/index.ts'
import type { Clock, Logger } from '../observe/environment.ts'
import type { Json } from '../protocol/pdu.ts'
import { StorageFailed, StorageFull } from '../store/index.ts'
import { findAccessToken } from './access-token.ts'
import { guestLimitClassOf, requireOpenToGuests } from './guests.ts'
import { type IdentityAssertion, readIdentityAssertion } from './identity-assertion.ts'
import { parseJsonBody } from './json-body.ts'
import { PathTree, urlsOf } from './path-tree.ts'
import { parseQuery, planQuery, type QueryPlan } from './query.ts'
import { type LimitClass, limitClassOf, type RateLimits } from './rate-limit.ts'
import { ClientGone, DEFAULT_MAX_BODY_BYTES, drain, readBody } from './read-body.ts'
import { sendError, sendPreflight, sendResult } from './reply.ts'
import { NodeRequestInfo } from './request-info.ts'
import type { Call, Requester, RequestingServer, Route } from './route.ts'
import { SignedRequests } from './signed-requests.ts'
import { bodyError, Check, parameterError } from './validate.ts'

/** What a listener serves. */
export type Side = 'client' | 'federation'

/** Told when an answer has been handed over, for logs and metrics. */
export interface Served {
  /** `null`: no endpoint. */
  readonly operationId: string | null
  readonly status: number
  readonly durationMs: number
}

export interface EdgeOptions {
  readonly routes: readonly Route[]
  /** @throws MatrixError 401 */
  readonly authenticate: (
    accessToken: string,
    seen: { ip: string; userAgent: string },
    assertion: () => IdentityAssertion,
  ) => Promise<Requester>
  /** Whether a token that was sent to an endpoint which asks for none is an application service's: it is not counted there. */
  readonly isAppserviceToken?: (accessToken: string) => boolean
  /** Who may come in with signed requests; without it no endpoint may ask for them. */
  readonly doorkeeper?: Doorkeeper | undefined
  readonly rateLimits: RateLimits
  readonly clock: Clock
  readonly logger: Logger
  /** Aborted when the server stops. */
  readonly stopping: AbortSignal
  /** Answers GETs of client listeners outside of `/_matrix`, `/_synapse` and `/.well-known`; `false`: not its. */
  readonly page?: (request: IncomingMessage, response: ServerResponse) => boolean
  readonly onServed?: (served: Served) => void
}

/** A route with all that can be worked out before the first request. */
interface Mounted {
  readonly route: Route
  readonly side: Side
  readonly limitClass: LimitClass | undefined
  readonly pathCheck: Check
  readonly queryPlan: QueryPlan
  readonly queryCheck: Check
  readonly bodyCheck: Check | null
  readonly maxBodyBytes: number
}

/** What the owner of a locked account may still call. Spec: client-server-api §Account locking. */
const OPEN_TO_LOCKED: ReadonlySet<string> = new Set(['logout', 'logout_all'])

/** Federation's URLs; all others belong to clients. */
const FEDERATION = /^\/(_matrix\/(federation|key|policy)\/|\.well-known\/matrix\/server$)/

/** @returns for each set of sides a Koa application that serves the routes of those sides */
export function mount(options: EdgeOptions): (serves: readonly Side[]) => Koa {
  const tree = new PathTree<Mounted>()
  for (const route of options.routes) {
    const { endpoint } = route
    for (const url of urlsOf(endpoint)) {
      tree.add(endpoint.method, url, Object.keys(endpoint.path.properties), prepare(route, url, options))
    }
  }
  const edge = new Edge(tree, options)
  return (serves) => {
    const app = new Koa()
    // Koa tells of sockets that broke off; there is nothing to do about them.
    app.on('error', (error: Error) => options.logger.debug({ event: 'http.broken-off', why: error.message }))
    const isServed = { client: serves.includes('client'), federation: serves.includes('federation') }
    app.use(async (context) => {
      // The edge writes to Node's response itself: Koa's own answer would look at body and status once more.
      context.respond = false
      await edge.serve(context.req, context.res, isServed)
    })
    return app
  }
}

function prepare(route: Route, url: string, { doorkeeper }: EdgeOptions): Mounted {
  const { endpoint } = route
  // Better no start than an endpoint that lets everybody in.
  const isUnchecked = endpoint.auth === 'signedRequest' && (!doorkeeper || endpoint.body === 'stream')
  if (isUnchecked || endpoint.auth === 'homeserverAccessToken') {
    throw new Error(`${endpoint.operationId}: nothing here checks ${endpoint.auth}`)
  }
  return {
    route,
    side: FEDERATION.test(url) ? 'federation' : 'client',
    limitClass: limitClassOf(endpoint),
    pathCheck: new Check(endpoint.path),
    queryPlan: planQuery(endpoint.query),
    queryCheck: new Check(endpoint.query),
    bodyCheck: endpoint.body === null || endpoint.body === 'stream' ? null : new Check(endpoint.body),
    maxBodyBytes: endpoint.maxBodyBytes ?? DEFAULT_MAX_BODY_BYTES,
  }
}

class Edge {
  readonly #tree: PathTree<Mounted>
  readonly #options: EdgeOptions
  readonly #signedRequests: SignedRequests | undefined

  constructor(tree: PathTree<Mounted>, options: EdgeOptions) {
    this.#tree = tree
    this.#options = options
    this.#signedRequests = options.doorkeeper && new SignedRequests(options.doorkeeper, options.rateLimits)
  }

  /** Answers one request; never rejects. */
  async serve(
    request: IncomingMessage,
    response: ServerResponse,
    isServed: Readonly<Record<Side, boolean>>,
  ): Promise<void> {
    const { clock, onServed } = this.#options
    const startedTs = onServed ? clock.now() : 0
    let operationId: string | null = null
    try {
      if (request.method === 'OPTIONS') sendPreflight(response)
      else {
        const target = targetOf(request.url ?? '')
        // RFC 9110 §14.2: a range is of a GET alone.
        if (request.method === 'HEAD') delete request.headers.range
        const found = this.#find(request, target.pathname, isServed)
        if (found) {
          operationId = found.value.route.endpoint.operationId
          await this.#call(found.value, found.path, target.queryText, request, response)
        } else if (!isServed.client || !this.#options.page?.(request, response)) throw unrecognized()
      }
    } catch (error) {
      this.#answerError(error, operationId, request, response)
    }
    drain(request)
    onServed?.({ operationId, status: response.statusCode, durationMs: clock.now() - startedTs })
  }

  /** @returns `undefined` for a path that no endpoint of this listener has */
  #find(request: IncomingMessage, pathname: string, isServed: Readonly<Record<Side, boolean>>) {
    const method = request.method === 'HEAD' ? 'GET' : (request.method ?? '')
    const isFederation = FEDERATION.test(pathname)
    if (!(isFederation ? isServed.federation : isServed.client)) return undefined
    const found = this.#tree.find(method, pathname)
    if ('value' in found) return found
    if (found.length > 0) throw new WrongMethod(found)
    return undefined
  }

  async #call(
    mounted: Mounted,
    path: Record<string, string>,
    queryText: string,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const { endpoint } = mounted.route
    const info = new NodeRequestInfo(request, response, this.#options.stopping)
    if (endpoint.auth === 'signedRequest') {
      const signedRequests = this.#signedRequests as SignedRequests
      using received = await signedRequests.receive(request, info, mounted.maxBodyBytes)
      const parts = readParts(mounted, path, queryText)
      const body = mounted.bodyCheck ? checkSigned(received.content, mounted, mounted.bodyCheck) : null
      await this.#answer(mounted, { ...parts, body, requester: { serverName: received.serverName } }, info, response)
      return
    }
    const requester = await this.#authenticate(mounted, queryText, request, info)
    if (requester?.isGuest) requireOpenToGuests(endpoint.operationId, path)
    if (mounted.limitClass && !this.#isUnlimited(requester, info)) {
      this.#options.rateLimits.take(mounted.limitClass, requester?.userId ?? info.ip)
      if (requester?.isGuest) this.#options.rateLimits.take(guestLimitClassOf(endpoint.operationId), requester.userId)
    }
    const parts = readParts(mounted, path, queryText)
    const body = mounted.bodyCheck ? await this.#readJson(mounted, mounted.bodyCheck, request) : null
    await this.#answer(mounted, { ...parts, body, requester }, info, response)
  }

  async #answer(
    { route: { endpoint, handle } }: Mounted,
    parts: Parts & { readonly body: unknown; readonly requester: Requester | RequestingServer | undefined },
    info: NodeRequestInfo,
    response: ServerResponse,
  ): Promise<void> {
    // The declaration's types vouch for the parts; here they are only known by their schemas.
    const call = { ...parts, request: info } as unknown as Call<typeof endpoint>
    const result = await handle(call)
    if (response.destroyed) throw new ClientGone()
    await sendResult(response.req, response, result)
  }

  async #authenticate(
    mounted: Mounted,
    queryText: string,
    request: IncomingMessage,
    info: NodeRequestInfo,
  ): Promise<Requester | undefined> {
    const { auth } = mounted.route.endpoint
    if (auth === 'none') return undefined
    const token = findAccessToken(request, queryText)
    if (token !== undefined) {
      const requester = await this.#options.authenticate(token, info, () => readIdentityAssertion(queryText))
      if (auth === 'appserviceAccessToken' && !requester.appservice) throw forbidden('Only for application services')
      if (requester.isLocked && !OPEN_TO_LOCKED.has(mounted.route.endpoint.operationId)) throw userLocked()
      return requester
    }
    if (auth === 'accessToken?') return undefined
    throw missingToken()
  }

  #isUnlimited(requester: Requester | undefined, info: NodeRequestInfo): boolean {
    if (requester) return requester.appservice?.isUnlimited === true
    const { accessToken } = info
    return accessToken !== undefined && this.#options.isAppserviceToken?.(accessToken) === true
  }

  async #readJson(mounted: Mounted, check: Check, request: IncomingMessage): Promise<unknown> {
    const { endpoint } = mounted.route
    const bytes = await readBody(request, mounted.maxBodyBytes)
    const body = bytes.length === 0 && endpoint.bodyRequired === false ? {} : parseJsonBody(bytes)
    if (check.passes(body)) return body
    const rest = mounted.side === 'client' ? check.withoutNulls(body) : undefined
    if (rest === undefined) throw bodyError(check.fault(body), endpoint.errors)
    return rest
  }

  #answerError(thrown: unknown, operationId: string | null, request: IncomingMessage, response: ServerResponse): void {
    if (thrown instanceof ClientGone || response.destroyed) return
    const error = thrown instanceof MatrixError ? thrown : this.#report(thrown, operationId)
    if (response.headersSent) {
      // The answer broke off in its middle: only cutting the connection tells the client.
      response.destroy()
      return
    }
    sendError(request, response, error, thrown instanceof WrongMethod ? { allow: thrown.allowed.join(', ') } : {})
  }

  /** What is no `MatrixError` is the disk's fault or ours: it is logged, and the client learns no details. */
  #report(thrown: unknown, operationId: string | null): MatrixError {
    const { logger } = this.#options
    const why = thrown instanceof Error ? thrown.message : String(thrown)
    if (thrown instanceof StorageFull) {
      logger.error({ event: 'storage.full', operationId, why })
      return new MatrixError('M_UNKNOWN', 507, 'The server has no room left on its disk', { retry_after_ms: 60_000 })
    }
    if (thrown instanceof StorageFailed) {
      logger.error({ event: 'storage.failed', operationId, why })
      return new MatrixError('M_UNKNOWN', 503, 'The disk of the server has failed')
    }
    logger.error({ event: 'http.failed', operationId, why, stack: thrown instanceof Error ? thrown.stack : undefined })
    return new MatrixError('M_UNKNOWN', 500, 'Internal server error')
  }
}

interface Parts {
  readonly path: Readonly<Record<string, string>>
  readonly query: unknown
}

/** @throws MatrixError 400 M_INVALID_PARAM, M_MISSING_PARAM */
function readParts(mounted: Mounted, path: Record<string, string>, queryText: string): Parts {
  if (!mounted.pathCheck.passes(path)) throw parameterError(mounted.pathCheck.fault(path))
  const query = parseQuery(queryText, mounted.queryPlan)
  if (!mounted.queryCheck.passes(query)) throw parameterError(mounted.queryCheck.fault(query))
  return { path, query }
}

/** The body of a signed request, which was read to check the signature. */
function checkSigned(content: Json | undefined, { route: { endpoint } }: Mounted, check: Check): unknown {
  if (content === undefined && endpoint.bodyRequired !== false)
    throw notJson('The request has no body, and JSON is needed')
  const body = content === undefined ? {} : content
  if (check.hasNumberForObject(body)) throw badJson('The body has a number where an object is needed')
  if (check.passes(body)) return body
  throw bodyError(check.fault(body), endpoint.errors)
}

class WrongMethod extends MatrixError {
  readonly allowed: readonly string[]

  constructor(allowed: readonly string[]) {
    super('M_UNRECOGNIZED', 405, 'Unrecognized request')
    this.allowed = allowed
  }
}

/** Splits the request's target, which proxies may send as a whole URL. */
function targetOf(url: string): { pathname: string; queryText: string } {
  const target = url.startsWith('/') ? url : url.replace(/^https?:\/\/[^/?]*/i, '')
  const mark = target.indexOf('?')
  return mark === -1
    ? { pathname: target, queryText: '' }
    : { pathname: target.slice(0, mark), queryText: target.slice(mark + 1) }
}
