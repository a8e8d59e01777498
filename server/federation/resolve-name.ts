/**
 * Where a server is reached, from its name alone. Spec: server-server-api §Resolving server names, whose steps the comments
 * count. Addresses are looked up when the connection is made, behind the address guard.
 */
import type { SrvRecord } from 'node:dns'
import { parseServerName, type ServerNameParts } from '../../shared/matrix/server-name.ts'
import { RemoteError } from '../net/index.ts'
import type { Clock, Random } from '../observe/environment.ts'
import type { WellKnownServers } from './well-known.ts'

/** One way to reach a server. */
export interface Target {
  /** Host name or IP address to connect to. */
  readonly host: string
  readonly port: number
  /** The request's `Host` header. */
  readonly hostHeader: string
  /** Name or address that the certificate must be for. */
  readonly certifiedName: string
}

/**
 * SRV records of a name.
 * @throws Error where there are none, or no name server answers
 */
export type LookupSrv = (name: string) => Promise<readonly SrvRecord[]>

export interface ResolveName {
  /**
   * @returns ways to reach the server, the best first
   * @throws RemoteError for what is no server name, or a name that says it has no Matrix server
   */
  (serverName: string): Promise<readonly Target[]>
  /** Looks for the server's SRV records anew the next time: nobody was there. */
  forget(serverName: string): void
}

const DEFAULT_PORT = 8448
/** Node's resolver does not tell how long a record is good for. */
const SRV_CACHE_MS = 5 * 60_000
const MAX_CACHED_SRV = 1_000
const MAX_TARGETS = 6

export function createResolveName(parts: {
  readonly clock: Clock
  readonly random: Random
  readonly wellKnown: WellKnownServers
  readonly lookupSrv: LookupSrv
}): ResolveName {
  const { clock, random, wellKnown, lookupSrv } = parts
  const cache = new Map<string, { readonly records: readonly SrvRecord[]; readonly expiresTs: number }>()

  async function srvRecords(hostname: string): Promise<readonly SrvRecord[]> {
    const cached = cache.get(hostname)
    if (cached && cached.expiresTs > clock.now()) return cached.records
    // 3.3 and 4, and the deprecated 3.4 and 5.
    let records = await lookupQuietly(lookupSrv, `_matrix-fed._tcp.${hostname}`)
    if (records.length === 0) records = await lookupQuietly(lookupSrv, `_matrix._tcp.${hostname}`)
    cache.delete(hostname)
    cache.set(hostname, { records, expiresTs: clock.now() + SRV_CACHE_MS })
    for (const oldest of cache.keys()) {
      if (cache.size <= MAX_CACHED_SRV) break
      cache.delete(oldest)
    }
    return records
  }

  /** Steps 3.3 to 3.5 and 4 to 6, which are the same but for the name. */
  async function bySrv(hostname: string): Promise<readonly Target[]> {
    const own = { hostHeader: hostname, certifiedName: hostname }
    const records = await srvRecords(hostname)
    if (records.length === 0) return [{ host: hostname, port: DEFAULT_PORT, ...own }]
    const usable = records.filter(({ name }) => name !== '' && name !== '.')
    if (usable.length === 0)
      throw new RemoteError(hostname, 'unreachable', 'its SRV record says that there is no server')
    return inOrder(usable, random)
      .slice(0, MAX_TARGETS)
      .map(({ name, port }) => ({ host: name, port, ...own }))
  }

  async function resolve(serverName: string): Promise<readonly Target[]> {
    const parsed = parseServerName(serverName)
    if (!parsed || !isUrlHost(parsed)) {
      throw new RemoteError(serverName.slice(0, 255), 'unreachable', 'not a name that can be resolved')
    }
    const direct = directTarget(parsed)
    if (direct) return [direct]
    const delegated = await wellKnown.find(parsed.hostname)
    if (delegated === undefined || !isUrlHost(delegated)) return bySrv(parsed.hostname)
    const target = directTarget(delegated)
    return target ? [target] : bySrv(delegated.hostname)
  }

  return Object.assign(resolve, {
    forget(serverName: string) {
      const hostname = parseServerName(serverName)?.hostname
      if (hostname === undefined) return
      cache.delete(hostname)
      const delegated = wellKnown.peek(hostname)
      if (delegated) cache.delete(delegated.hostname)
    },
  })
}

/** Steps 1 and 2, and 3.1 and 3.2: an address, or a name with a port. */
function directTarget({ kind, hostname, port }: ServerNameParts): Target | undefined {
  if (kind === 'dns' && port === undefined) return undefined
  const host = kind === 'ipv6' ? `[${hostname}]` : hostname
  const hostHeader = port === undefined ? host : `${host}:${port}`
  return { host: hostname, port: port ?? DEFAULT_PORT, hostHeader, certifiedName: hostname }
}

async function lookupQuietly(lookupSrv: LookupSrv, name: string): Promise<readonly SrvRecord[]> {
  try {
    return await lookupSrv(name)
  } catch {
    // No records, or no name server that answers: in both cases the name itself is what is left to try.
    return []
  }
}

/** By priority, and among equals at random by weight. RFC 2782. */
function inOrder(records: readonly SrvRecord[], random: Random): readonly SrvRecord[] {
  const ordered: SrvRecord[] = []
  for (const priority of [...new Set(records.map((record) => record.priority))].sort((a, b) => a - b)) {
    // Those of weight 0 first, so that they have a chance.
    const rest = records.filter((record) => record.priority === priority).sort((a, b) => a.weight - b.weight)
    while (rest.length > 0) {
      const total = rest.reduce((sum, { weight }) => sum + weight, 0)
      let left = Math.floor(random.number() * (total + 1))
      const chosen = rest.findIndex(({ weight }) => {
        left -= weight
        return left <= 0
      })
      ordered.push(...rest.splice(chosen, 1))
    }
  }
  return ordered
}

/** Whether a host stays what it is in a URL. `1.2.3` and `0x7f.1` would become addresses there. */
function isUrlHost({ kind, hostname }: ServerNameParts): boolean {
  if (kind !== 'dns') return true
  const url = `https://${hostname}/`
  return URL.canParse(url) && new URL(url).hostname === hostname.toLowerCase()
}
