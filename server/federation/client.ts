/** Signed requests to other servers. Spec: server-server-api §Request Authentication, §Unsupported endpoints. */
import { isUtf8 } from 'node:buffer'
import type { Readable } from 'node:stream'
import type { TSchema } from 'typebox'
import { Compile, type Validator } from 'typebox/compile'
import type { Endpoint, ReplyOf } from '../../shared/api/endpoint.ts'
import { strictRecords } from '../../shared/api/strict-records.ts'
import { type Outbound, type OutboundAnswer, RemoteError } from '../net/index.ts'
import type { Environment } from '../observe/environment.ts'
import { isJsonObject, parseJson } from '../protocol/json.ts'
import type { Json, JsonObject } from '../protocol/pdu.ts'
import type { SigningKey } from '../protocol/signing-key.ts'
import type { Backoff } from './backoff.ts'
import type { FederationCall, FederationClient } from './contract.ts'
import { RemoteRefusal } from './remote-refusal.ts'
import type { ResolveName, Target } from './resolve-name.ts'
import { authorizationOf, contentTextOf } from './x-matrix.ts'

const DEFAULT_TIMEOUT_MS = 30_000
const DEFAULT_MAX_BYTES = 1024 * 1024
const MAX_ERROR_BYTES = 64 * 1024
const MAX_ERROR_LENGTH = 512

export function createFederationClient(parts: {
  readonly environment: Environment
  readonly signingKey: SigningKey
  readonly outbound: Outbound
  readonly resolveName: ResolveName
  readonly backoff: Backoff
  /** Whether this home has nothing to do with a server. */
  readonly isBlocked: (serverName: string) => boolean
  /** Ends all requests, and has none begun, where the server stops: none of them is worth waiting for then. */
  readonly closing: AbortSignal
}): FederationClient {
  const { environment, backoff, resolveName, closing } = parts
  const isGivenUp = ({ signal }: { readonly signal?: AbortSignal }): boolean =>
    closing.aborted || signal?.aborted === true

  function requireMayCall(destination: string, evenIfBackedOff: boolean | undefined): void {
    if (closing.aborted) throw new RemoteError(destination, 'unreachable', 'this server is stopping')
    if (destination === environment.serverName) throw new RemoteError(destination, 'refused', 'that is this server')
    if (parts.isBlocked(destination)) throw new RemoteError(destination, 'refused', 'this home has blocked it')
    if (!evenIfBackedOff && backoff.retryTs(destination) !== undefined) {
      throw new RemoteError(destination, 'unreachable', 'it could not be reached a short while ago')
    }
  }

  async function open<E extends Endpoint>(
    destination: string,
    endpoint: E,
    call: FederationCall<E>,
  ): Promise<OutboundAnswer<Readable>> {
    requireMayCall(destination, call.evenIfBackedOff)
    const { clock } = environment
    const deadlineTs = clock.now() + (call.timeoutMs ?? DEFAULT_TIMEOUT_MS)
    const signal = call.signal ? AbortSignal.any([closing, call.signal]) : closing
    const send = sender(parts, destination, endpoint, { ...call, signal })
    try {
      const targets = await unlessAborted(resolveName(destination), signal, destination)
      const answer = await tryTargets(destination, targets, (target) =>
        send(target, Math.max(1, deadlineTs - clock.now())),
      )
      if (answer.status < 400) {
        backoff.heardFrom(destination)
        return answer
      }
      throw await refusalOf(destination, answer)
    } catch (error) {
      if (error instanceof RemoteRefusal) backoff.heardFrom(destination)
      else if (!isGivenUp(call) && isFailureToReach(error)) {
        backoff.failed(destination)
        resolveName.forget(destination)
      }
      throw named(destination, error)
    }
  }

  return {
    open,

    async call(destination, endpoint, call) {
      const answer = await open(destination, endpoint, call)
      if (answer.status !== 200) {
        answer.body.on('error', ignore).destroy()
        throw new RemoteError(destination, 'badAnswer', `it answered ${answer.status}`)
      }
      const value = await readJson(destination, answer.body).catch((error: unknown) => {
        if (!isGivenUp(call) && isFailureToReach(error)) backoff.failed(destination)
        throw named(destination, error)
      })
      if (!passes(endpoint.reply as TSchema, value)) {
        throw new RemoteError(
          destination,
          'badAnswer',
          `its answer to ${endpoint.operationId} is not what it should be`,
        )
      }
      return value as ReplyOf<typeof endpoint>
    },
  }
}

/** Name servers know of no signal: what they say after it is not waited for. */
function unlessAborted<T>(work: Promise<T>, signal: AbortSignal, destination: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const giveUp = () => reject(new RemoteError(destination, 'unreachable', 'nobody waits for it any more'))
    if (signal.aborted) giveUp()
    signal.addEventListener('abort', giveUp, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', giveUp))
  })
}

/** @returns sends the request to one target */
function sender<E extends Endpoint>(
  { environment, signingKey, outbound }: Parameters<typeof createFederationClient>[0],
  destination: string,
  endpoint: E,
  call: FederationCall<E>,
): (target: Target, timeoutMs: number) => Promise<OutboundAnswer<Readable>> {
  const uri = uriOf(endpoint, call)
  const { method } = endpoint
  const body = call.body as Json | null | undefined
  const hasBody = method !== 'GET' && endpoint.body !== null
  const contentText = hasBody ? contentTextOf(body ?? {}) : undefined
  const request = { method, uri, origin: environment.serverName, destination, contentText }
  const authorization = endpoint.auth === 'signedRequest' ? authorizationOf(request, signingKey) : undefined
  return ({ host, port, hostHeader }, timeoutMs) =>
    outbound.open({
      url: `https://${hostHeader}${uri}`,
      connectTo: { host, port },
      method,
      headers: {
        host: hostHeader,
        accept: endpoint.reply === 'stream' ? '*/*' : 'application/json',
        ...(authorization !== undefined && { authorization }),
        ...(contentText !== undefined && { 'content-type': 'application/json' }),
      },
      ...(contentText !== undefined && { body: contentText }),
      timeoutMs,
      maxBytes: call.maxBytes ?? DEFAULT_MAX_BYTES,
      ...(call.signal && { signal: call.signal }),
    })
}

async function tryTargets(
  destination: string,
  targets: readonly Target[],
  send: (target: Target) => Promise<OutboundAnswer<Readable>>,
): Promise<OutboundAnswer<Readable>> {
  let failure = new RemoteError(destination, 'unreachable', 'it has no address')
  for (const target of targets) {
    try {
      return await send(target)
    } catch (error) {
      // Another target only where this one was not there: one that answered badly, or slowly, has had the request.
      if (!(error instanceof RemoteError) || !wasNotThere(error)) throw error
      failure = error
    }
  }
  throw failure
}

function wasNotThere({ failure, cause }: RemoteError): boolean {
  if (failure !== 'timeout') return failure !== 'badAnswer'
  return /^(UND_ERR_CONNECT_TIMEOUT|ETIMEDOUT)$/.test((cause as NodeJS.ErrnoException | undefined)?.code ?? '')
}

function isFailureToReach(error: unknown): boolean {
  return error instanceof RemoteError && error.failure !== 'badAnswer'
}

/** Says the server's name instead of the host that it led to. */
function named(destination: string, error: unknown): unknown {
  if (!(error instanceof RemoteError) || error.destination === destination) return error
  return new RemoteError(destination, error.failure, error.message, { cause: error })
}

function uriOf<E extends Endpoint>(endpoint: E, { path, query }: FederationCall<E>): string {
  const values = path as Readonly<Record<string, string>>
  const pathname = endpoint.url.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(values[name] ?? ''))
  const search = new URLSearchParams()
  for (const [name, value] of Object.entries((query ?? {}) as Record<string, unknown>)) {
    for (const item of Array.isArray(value) ? (value as unknown[]) : [value]) {
      if (item !== undefined) search.append(name, String(item))
    }
  }
  const text = search.toString()
  return text === '' ? pathname : `${pathname}?${text}`
}

/** The error that the server answered with, or what to think of an answer that is not even that. */
async function refusalOf(destination: string, answer: OutboundAnswer<Readable>): Promise<Error> {
  const { status } = answer
  const body = await readJson(destination, answer.body, MAX_ERROR_BYTES).catch((error: unknown) => {
    // A proxy's page instead of an error of Matrix.
    if (error instanceof RemoteError && error.failure === 'badAnswer') return undefined
    throw error
  })
  const object: JsonObject = isJsonObject(body) ? body : {}
  const { errcode, error } = object
  if (typeof errcode === 'string') {
    const words = typeof error === 'string' ? error : ''
    return new RemoteRefusal(destination, {
      status,
      errcode: errcode.slice(0, MAX_ERROR_LENGTH),
      error: words.slice(0, MAX_ERROR_LENGTH),
      body: object,
    })
  }
  if (status >= 500) return new RemoteError(destination, 'unreachable', `it answered ${status}`)
  const unnamed = status === 404 || status === 405 ? 'M_UNRECOGNIZED' : 'M_UNKNOWN'
  return new RemoteRefusal(destination, { status, errcode: unnamed, error: '', body: object })
}

/** @throws RemoteError */
async function readJson(destination: string, body: Readable, maxBytes = Number.POSITIVE_INFINITY): Promise<Json> {
  const bad = (why: string): RemoteError => new RemoteError(destination, 'badAnswer', why)
  const chunks: Buffer[] = []
  let size = 0
  try {
    for await (const chunk of body) {
      size += (chunk as Buffer).length
      if (size > maxBytes) throw bad('its answer is too long')
      chunks.push(chunk as Buffer)
    }
  } catch (cause) {
    if (cause instanceof RemoteError) throw cause
    const isTimeout = cause instanceof Error && cause.name === 'TimeoutError'
    throw new RemoteError(destination, isTimeout ? 'timeout' : 'unreachable', 'its answer broke off', { cause })
  }
  const bytes = chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks, size)
  if (!isUtf8(bytes)) throw bad('its answer is not UTF-8')
  try {
    return parseJson(bytes.toString('utf8'))
  } catch (cause) {
    if (cause instanceof SyntaxError) throw bad('its answer is not JSON')
    throw cause
  }
}

const validators = new WeakMap<TSchema, Validator>()

function passes(schema: TSchema, value: Json): boolean {
  const validator = validators.get(schema) ?? Compile(strictRecords(schema) as TSchema)
  validators.set(schema, validator)
  return validator.Check(value)
}

function ignore(): void {
  // What is thrown away may end as it likes.
}
