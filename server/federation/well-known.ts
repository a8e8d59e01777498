/** `.well-known/matrix/server` of other servers. Spec: server-server-api §Resolving server names, step 3. */
import { isUtf8 } from 'node:buffer'
import { parseServerName, type ServerNameParts } from '../../shared/matrix/server-name.ts'
import { type Outbound, RemoteError } from '../net/index.ts'
import type { Clock, Random } from '../observe/environment.ts'

export interface WellKnownServers {
  /** The server that the host delegates to; `undefined` where it delegates to none, or says nothing that can be used. */
  find(hostname: string): Promise<ServerNameParts | undefined>
  /** What is known without asking. */
  peek(hostname: string): ServerNameParts | undefined
}

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const DEFAULT_CACHE_MS = 24 * HOUR_MS
const MAX_CACHE_MS = 48 * HOUR_MS
/** However short an answer says that it lasts: each request to that server would ask again. */
const MIN_CACHE_MS = 5 * MINUTE_MS
const MAX_FAILURE_CACHE_MS = HOUR_MS
const MAX_CACHED = 5_000
const LIMITS = { timeoutMs: 8_000, maxBytes: 50 * 1024, maxRedirects: 5 } as const

interface Known {
  readonly delegated: ServerNameParts | undefined
  readonly expiresTs: number
  /** When the delegation was fetched; it may be used for so long while newer answers fail. */
  readonly fetchedTs: number
  /** Failed attempts in a row. */
  readonly failures: number
}

export function createWellKnownServers(parts: {
  readonly clock: Clock
  readonly random: Random
  readonly outbound: Outbound
}): WellKnownServers {
  const { clock, random, outbound } = parts
  /** In the order in which they were fetched. */
  const cache = new Map<string, Known>()
  const running = new Map<string, Promise<ServerNameParts | undefined>>()

  async function fetch(hostname: string): Promise<ServerNameParts | undefined> {
    const before = cache.get(hostname)
    const answer = await ask(outbound, hostname, clock.now())
    const now = clock.now()
    let known: Known
    if (answer) {
      const lifetimeMs = Math.min(Math.max(answer.lifetimeMs ?? DEFAULT_CACHE_MS, MIN_CACHE_MS), MAX_CACHE_MS)
      known = { delegated: answer.delegated, expiresTs: now + lifetimeMs, fetchedTs: now, failures: 0 }
    } else {
      const failures = (before?.failures ?? 0) + 1
      const cachedMs = Math.min(MINUTE_MS * 2 ** (failures - 1), MAX_FAILURE_CACHE_MS) * (1 - 0.2 * random.number())
      const isStillGood = before?.delegated !== undefined && before.fetchedTs + MAX_CACHE_MS > now
      const kept = isStillGood ? before : { delegated: undefined, fetchedTs: 0 }
      known = { delegated: kept.delegated, fetchedTs: kept.fetchedTs, expiresTs: now + cachedMs, failures }
    }
    cache.delete(hostname)
    cache.set(hostname, known)
    for (const oldest of cache.keys()) {
      if (cache.size <= MAX_CACHED) break
      cache.delete(oldest)
    }
    return known.delegated
  }

  return {
    peek: (hostname) => cache.get(hostname)?.delegated,

    async find(hostname) {
      const known = cache.get(hostname)
      if (known && known.expiresTs > clock.now()) return known.delegated
      const asked = running.get(hostname) ?? fetch(hostname).finally(() => running.delete(hostname))
      running.set(hostname, asked)
      return asked
    },
  }
}

/** @returns `undefined` where there is no usable answer */
async function ask(
  outbound: Outbound,
  hostname: string,
  now: number,
): Promise<{ readonly delegated: ServerNameParts; readonly lifetimeMs: number | undefined } | undefined> {
  try {
    const url = `https://${hostname}/.well-known/matrix/server`
    const { status, headers, body } = await outbound.fetch({ url, ...LIMITS, isHttpsOnly: true })
    if (status !== 200) return undefined
    const delegated = delegatedTo(body)
    return delegated && { delegated, lifetimeMs: lifetimeOf(headers, now) }
  } catch (error) {
    // Nobody there, no such name, a bad certificate, too long an answer: all of them lead to the next step.
    if (error instanceof RemoteError) return undefined
    throw error
  }
}

function delegatedTo(body: Buffer): ServerNameParts | undefined {
  if (!isUtf8(body)) return undefined
  let value: unknown
  try {
    value = JSON.parse(body.toString('utf8'))
  } catch {
    // Many hosts answer everything with a page.
    return undefined
  }
  const name = typeof value === 'object' && value !== null ? (value as { 'm.server'?: unknown })['m.server'] : undefined
  return typeof name === 'string' ? parseServerName(name) : undefined
}

/** How long an answer says that it is good for. RFC 9111 section 5.2.2, 5.3. */
function lifetimeOf(headers: Readonly<Record<string, string>>, now: number): number | undefined {
  const directives = (headers['cache-control'] ?? '').toLowerCase()
  if (/(?:^|[\s,])(?:no-store|no-cache)(?:$|[\s,=])/.test(directives)) return 0
  const maxAge = /(?:^|[\s,])max-age\s*=\s*"?(\d{1,9})/.exec(directives)
  if (maxAge) return Number(maxAge[1]) * 1_000
  const expiresTs = Date.parse(headers.expires ?? '')
  return Number.isNaN(expiresTs) ? undefined : Math.max(0, expiresTs - now)
}
