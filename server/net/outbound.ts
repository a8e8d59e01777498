/**
 * The one way out to the network. Every connection goes through the address guard after its name was resolved, and to the
 * very address that was checked, so a name that changes its mind between check and connection gains nothing. Answers are
 * bounded in bytes, time and redirects.
 */
import type { LookupAddress, LookupOptions } from 'node:dns'
import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { pipeline, type Readable, Transform } from 'node:stream'
import type { SecureContext } from 'node:tls'
import type { Dispatcher } from 'undici'
import { type AddressGuard, AddressRefused } from './address-guard.ts'
import { RemoteError } from './remote-error.ts'
import { trustContext } from './trust.ts'

export interface OutboundRequest {
  /** `http:` or `https:`, without user and password. */
  readonly url: string
  readonly method?: 'GET' | 'POST' | 'PUT' | 'DELETE'
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
  /** For all of it: names, redirects, the answer's last byte. */
  readonly timeoutMs: number
  /** The answer's longest body. */
  readonly maxBytes: number
  /** How many redirects are followed; without it none, and a 3xx is the answer. */
  readonly maxRedirects?: number
  /** Whether a redirect to plain HTTP is an error. */
  readonly isHttpsOnly?: boolean
  readonly signal?: AbortSignal
  /** Connects there instead of to the URL's host, whose name the certificate still must have (SRV records). */
  readonly connectTo?: { readonly host: string; readonly port: number }
}

export interface OutboundAnswer<Body> {
  readonly status: number
  /** Lower-case names; repeated ones joined by `, `. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: Body
  /** Where the answer came from, after redirects. */
  readonly url: string
}

export interface Outbound extends AsyncDisposable {
  /** The whole answer. @throws RemoteError */
  fetch(request: OutboundRequest): Promise<OutboundAnswer<Buffer>>
  /**
   * The answer with its body as a stream, which must be read or destroyed; it breaks off with a RemoteError when it grows past
   * `maxBytes` or its time is up.
   * @throws RemoteError
   */
  open(request: OutboundRequest): Promise<OutboundAnswer<Readable>>
}

/** Connections to one host at a time. */
const CONNECTIONS_PER_HOST = 8
const CONNECT_TIMEOUT_MS = 10_000
const KEEP_ALIVE_MS = 30_000
/** How many hosts' connections are kept. */
const MAX_POOLS = 256

/** All addresses of a name; by the system's resolver unless a test brings its own. */
export type LookupAll = (hostname: string) => Promise<readonly LookupAddress[]>

const systemLookup: LookupAll = (hostname) => lookup(hostname, { all: true })

interface OutboundOptions {
  readonly guard: AddressGuard
  /** PEM certificates trusted besides the system's. */
  readonly trustedCa: readonly string[]
  readonly lookup?: LookupAll | undefined
}

export function createOutbound(options: OutboundOptions): Outbound {
  const pools = new Pools(options)

  async function open(request: OutboundRequest): Promise<OutboundAnswer<Readable>> {
    const destination = destinationOf(request.url)
    const timeout = AbortSignal.timeout(request.timeoutMs)
    const signal = request.signal ? AbortSignal.any([timeout, request.signal]) : timeout
    try {
      return await follow(pools, request, signal)
    } catch (cause) {
      throw remoteError(destination, timeout, cause)
    }
  }

  return {
    open,
    async fetch(request) {
      const answer = await open(request)
      try {
        const chunks: Buffer[] = []
        for await (const chunk of answer.body) chunks.push(chunk as Buffer)
        return { ...answer, body: Buffer.concat(chunks) }
      } catch (cause) {
        throw remoteError(destinationOf(request.url), undefined, cause)
      }
    },
    [Symbol.asyncDispose]: () => pools[Symbol.asyncDispose](),
  }
}

async function follow(pools: Pools, request: OutboundRequest, signal: AbortSignal): Promise<OutboundAnswer<Readable>> {
  let { url, method = 'GET', headers = {}, body, connectTo } = request
  for (let redirects = 0; ; redirects += 1) {
    const target = parseUrl(url)
    const pool = await pools.get(target, connectTo)
    const response = await pool.request({
      path: target.pathname + target.search,
      method,
      headers: { 'accept-encoding': 'identity', ...headers },
      ...(body !== undefined && { body: typeof body === 'string' ? body : Buffer.from(body) }),
      signal,
    })
    const location = flat(response.headers.location)
    const isRedirect = [301, 302, 303, 307, 308].includes(response.statusCode) && location !== undefined
    if (!isRedirect || request.maxRedirects === undefined) {
      return {
        status: response.statusCode,
        headers: flatHeaders(response.headers),
        body: bounded(response.body, flat(response.headers['content-length']), request, target.host),
        url,
      }
    }
    response.body.on('error', ignore).destroy()
    if (redirects >= request.maxRedirects) throw new RemoteError(target.host, 'badAnswer', 'too many redirects')
    const next = parseUrl(location, url)
    if (request.isHttpsOnly && next.protocol !== 'https:') {
      throw new RemoteError(target.host, 'badAnswer', 'a redirect to plain HTTP')
    }
    if (next.origin !== target.origin) headers = withoutSecrets(headers)
    if (response.statusCode <= 303 && method !== 'GET') {
      method = 'GET'
      body = undefined
    }
    url = next.href
    connectTo = undefined
  }
}

function ignore(): void {
  // What is thrown away may end as it likes; a reader hears of the end by its own stream.
}

function parseUrl(text: string, base?: string): URL {
  const url = URL.canParse(text, base) ? new URL(text, base) : undefined
  if (!url || (url.protocol !== 'http:' && url.protocol !== 'https:') || url.username !== '' || url.password !== '') {
    throw new RemoteError(destinationOf(base ?? text), 'badAnswer', 'not an http or https URL')
  }
  return url
}

/** What an error may say of where we went: no path, no query. */
function destinationOf(url: string): string {
  return URL.canParse(url) ? new URL(url).host : 'an invalid URL'
}

function withoutSecrets(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).filter(([name]) => !['authorization', 'cookie'].includes(name.toLowerCase())),
  )
}

function flat(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(', ') : value
}

function flatHeaders(headers: Dispatcher.ResponseData['headers']): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), flat(value) ?? '']))
}

/** The same stream, which breaks off where it grows too long. */
function bounded(
  body: Readable,
  declared: string | undefined,
  { maxBytes }: OutboundRequest,
  destination: string,
): Readable {
  const tooLong = (): RemoteError => new RemoteError(destination, 'badAnswer', `answer longer than ${maxBytes} bytes`)
  if (declared !== undefined && Number(declared) > maxBytes) {
    body.on('error', ignore).destroy()
    throw tooLong()
  }
  let size = 0
  const limited = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      size += chunk.length
      if (size > maxBytes) done(tooLong())
      else done(null, chunk)
    },
  })
  // Each end goes with the other, and whoever reads hears how it ended. (`compose` throws an AbortError at nobody when its
  // reader goes at the wrong moment.)
  pipeline(body, limited, ignore)
  return limited
}

function remoteError(destination: string, timeout: AbortSignal | undefined, cause: unknown): RemoteError {
  if (cause instanceof RemoteError) return cause
  const error = cause as NodeJS.ErrnoException
  if (error instanceof AddressRefused) return new RemoteError(destination, 'refused', error.message, { cause })
  const isTimeout = timeout?.aborted || error.name === 'TimeoutError' || /TIMEOUT|TIMEDOUT/.test(error.code ?? '')
  if (isTimeout) return new RemoteError(destination, 'timeout', 'no answer in time', { cause })
  const failure = /^(HPE_|UND_ERR_(RESPONSE|RES_))/.test(error.code ?? '') ? 'badAnswer' : 'unreachable'
  return new RemoteError(destination, failure, error.message, { cause })
}

/** Kept connections, by host. */
class Pools implements AsyncDisposable {
  readonly #guard: AddressGuard
  readonly #trustedCa: readonly string[]
  readonly #lookup: LookupAll | undefined
  /** In the order of last use. */
  readonly #pools = new Map<string, Dispatcher>()
  #trust: SecureContext | undefined
  #isClosed = false

  constructor({ guard, trustedCa, lookup }: OutboundOptions) {
    this.#guard = guard
    this.#trustedCa = trustedCa
    this.#lookup = lookup
  }

  async get(target: URL, connectTo: OutboundRequest['connectTo']): Promise<Dispatcher> {
    const key = connectTo ? `${target.origin} ${connectTo.host} ${connectTo.port}` : target.origin
    // undici takes a while to load, and a server that talks to nobody does not need it.
    const { buildConnector, Pool } = await import('undici')
    if (this.#isClosed) throw new RemoteError(target.host, 'unreachable', 'the server is stopping')
    const known = this.#pools.get(key)
    if (known) {
      this.#pools.delete(key)
      this.#pools.set(key, known)
      return known
    }
    const isTls = target.protocol === 'https:'
    if (isTls) this.#trust ??= trustContext(this.#trustedCa)
    const connect = buildConnector({
      timeout: CONNECT_TIMEOUT_MS,
      lookup: guardedLookup(this.#guard, this.#lookup),
      ...(isTls && { secureContext: this.#trust }),
    })
    const guard = this.#guard
    const pool = new Pool(target.origin, {
      connections: CONNECTIONS_PER_HOST,
      keepAliveTimeout: KEEP_ALIVE_MS,
      pipelining: 1,
      connect(options, callback) {
        const hostname = connectTo?.host ?? options.hostname.replace(/^\[|\]$/g, '')
        // Names are checked by the lookup; addresses never get there.
        if (isIP(hostname) !== 0 && !guard.allows(hostname)) return callback(new AddressRefused(hostname), null)
        const servername = isTls && isIP(target.hostname.replace(/^\[|\]$/g, '')) === 0 ? target.hostname : undefined
        connect(
          {
            ...options,
            ...(connectTo && { hostname, port: String(connectTo.port) }),
            ...(servername !== undefined && { servername }),
          },
          callback,
        )
      },
    })
    this.#pools.set(key, pool)
    this.#forgetOldest(target.host)
    return pool
  }

  #forgetOldest(host: string): void {
    if (this.#pools.size <= MAX_POOLS) return
    for (const [key, pool] of this.#pools) {
      this.#pools.delete(key)
      // Requests that run on it end first.
      pool.close().catch((cause: unknown) => {
        throw new RemoteError(host, 'unreachable', 'closing an old connection failed', { cause })
      })
      return
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true
    const pools = [...this.#pools.values()]
    this.#pools.clear()
    await Promise.all(pools.map((pool) => pool.destroy()))
  }
}

type LookupCallback = (error: NodeJS.ErrnoException | null, address: string | LookupAddress[], family?: number) => void

/** The system's resolver, hosts file included, without the addresses that must not be connected to. */
export function guardedLookup(guard: AddressGuard, lookupAll: LookupAll = systemLookup) {
  return (hostname: string, options: LookupOptions, callback: LookupCallback): void => {
    lookupAll(hostname).then(
      (addresses) => {
        const wanted = addresses.filter(({ family }) => !options.family || family === familyOf(options.family))
        const allowed = wanted.filter(({ address }) => guard.allows(address))
        const [first] = allowed
        if (!first) return callback(new AddressRefused(hostname), '')
        if (options.all) callback(null, allowed)
        else callback(null, first.address, first.family)
      },
      (error: NodeJS.ErrnoException) => callback(error, ''),
    )
  }
}

function familyOf(family: NonNullable<LookupOptions['family']>): number {
  return typeof family === 'number' ? family : Number(family.slice('IPv'.length))
}
