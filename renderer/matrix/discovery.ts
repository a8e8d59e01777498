import { Failure, failureOf, isRecord } from './failure.ts'
import { type Fetch, requestJson } from './request.ts'

/** What the household's server tells anyone: its name, and whether its first account has been made. */
export interface Home {
  /** The name that people gave their home; `null` until they have. */
  readonly name: string | null
  readonly isClaimed: boolean
  readonly registration: 'open' | 'closed'
  readonly serverName: string
}

/** A server that was found, and what a person may do there. */
export interface FoundServer {
  /** Without a slash at the end. */
  readonly baseUrl: string
  readonly home: Home | null
  readonly mayRegister: boolean
  /** Ways to sign in, e.g. `m.login.password`. */
  readonly loginTypes: readonly string[]
}

/**
 * Finds the server behind what a person typed: `example.org`, `https://example.org`, `@anna:example.org`, `127.0.0.1:8008`.
 * Follows `.well-known/matrix/client` where it exists. Spec: client-server-api §Server discovery.
 */
export async function findServer(
  typed: string,
  options: { fetch?: Fetch; signal?: AbortSignal } = {},
): Promise<FoundServer> {
  const fetch = options.fetch ?? globalThis.fetch
  const candidates = addressesOf(typed)
  if (candidates.length === 0) throw new Failure('notHearth')
  let last = new Failure('notHearth')
  for (const candidate of candidates) {
    try {
      return await askServer(await wellKnownOf(candidate, fetch, options.signal), fetch, options.signal)
    } catch (error) {
      last = failureOf(error)
      if (last.kind === 'cancelled') throw last
    }
  }
  throw last
}

/**
 * The addresses to try for what was typed, best first. A bare name means https; http too where it names this machine
 * or one in the house, since a household's server may have no certificate there.
 */
export function addressesOf(typed: string): readonly string[] {
  const trimmed = typed.trim().replace(/\/+$/, '')
  const name = /^@[^:]*:(.+)$/.exec(trimmed)?.[1] ?? trimmed
  if (name === '' || /\s/.test(name)) return []
  const asGiven = /^https?:\/\//i.test(name)
    ? [name]
    : [`https://${name}`, ...(isNearby(name) ? [`http://${name}`] : [])]
  return asGiven.flatMap((address) => {
    try {
      const { origin, pathname } = new URL(address)
      return [origin + (pathname === '/' ? '' : pathname)]
    } catch {
      // not an address at all: nothing to try
      return []
    }
  })
}

function isNearby(name: string): boolean {
  const host = name.replace(/:\d+$/, '')
  return (
    host === 'localhost' ||
    /\.(local|test|home\.arpa|internal|localhost)$/i.test(host) ||
    /^(127|10)\.\d+\.\d+\.\d+$/.test(host) ||
    /^192\.168\.\d+\.\d+$/.test(host) ||
    /^172\.(1[6-9]|2\d|3[01])\.\d+\.\d+$/.test(host) ||
    /^\[(::1|f[cde].*)\]$/i.test(host)
  )
}

async function wellKnownOf(origin: string, fetch: Fetch, signal: AbortSignal | undefined): Promise<string> {
  let answer: unknown
  try {
    answer = await requestJson({ baseUrl: origin, path: '/.well-known/matrix/client', signal, timeoutMs: 8_000 }, fetch)
  } catch (error) {
    if (failureOf(error).kind === 'cancelled') throw error
    // no document there: the address itself is the server (the specification's IGNORE)
    return origin
  }
  const server = isRecord(answer) ? answer['m.homeserver'] : undefined
  const base = isRecord(server) ? server.base_url : undefined
  return typeof base === 'string' && /^https?:\/\//.test(base) ? base.replace(/\/+$/, '') : origin
}

/** Asks a server what it is. Throws `notHearth` where no Matrix server answers. */
export async function askServer(
  baseUrl: string,
  fetch: Fetch = globalThis.fetch,
  signal?: AbortSignal,
): Promise<FoundServer> {
  const versions = await requestJson({ baseUrl, path: '/_matrix/client/versions', signal, timeoutMs: 10_000 }, fetch)
  if (!isRecord(versions) || !Array.isArray(versions.versions)) throw new Failure('notHearth')
  const [home, loginTypes] = await Promise.all([
    findHome(baseUrl, fetch, signal),
    listLoginTypes(baseUrl, fetch, signal),
  ])
  const mayRegister = home ? home.registration === 'open' : await mayRegisterAt(baseUrl, fetch, signal)
  return { baseUrl, home, mayRegister, loginTypes }
}

/** The household's own description; `null` where another kind of server answers 404. */
export async function findHome(
  baseUrl: string,
  fetch: Fetch = globalThis.fetch,
  signal?: AbortSignal,
): Promise<Home | null> {
  let answer: unknown
  try {
    answer = await requestJson({ baseUrl, path: '/_hearth/client/v1/home', signal, timeoutMs: 10_000 }, fetch)
  } catch (error) {
    const failure = failureOf(error)
    if (failure.status >= 400 && failure.status < 500) return null
    throw failure
  }
  if (!isRecord(answer) || typeof answer.claimed !== 'boolean') return null
  return {
    name: typeof answer.name === 'string' && answer.name !== '' ? answer.name : null,
    isClaimed: answer.claimed,
    registration: answer.registration === 'open' ? 'open' : 'closed',
    serverName: typeof answer.server_name === 'string' ? answer.server_name : '',
  }
}

async function listLoginTypes(baseUrl: string, fetch: Fetch, signal?: AbortSignal): Promise<readonly string[]> {
  const answer = await requestJson({ baseUrl, path: '/_matrix/client/v3/login', signal }, fetch)
  const flows = isRecord(answer) && Array.isArray(answer.flows) ? answer.flows : []
  return flows.flatMap((flow: unknown) => (isRecord(flow) && typeof flow.type === 'string' ? [flow.type] : []))
}

/** Asks for the stages of registration without registering: an open server answers 401 with its flows. */
async function mayRegisterAt(baseUrl: string, fetch: Fetch, signal?: AbortSignal): Promise<boolean> {
  try {
    await requestJson({ baseUrl, method: 'POST', path: '/_matrix/client/v3/register', body: {}, signal }, fetch)
    return true
  } catch (error) {
    const failure = failureOf(error)
    if (failure.kind === 'cancelled') throw failure
    return failure.status === 401 && Array.isArray(failure.data.flows)
  }
}
