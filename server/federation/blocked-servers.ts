import { invalidParam, notFound } from '../../shared/matrix/errors.ts'
import { parseServerName, serverNameOf } from '../../shared/matrix/identifiers.ts'
import type { Clock } from '../observe/environment.ts'
import { compileGlob, type Glob } from '../protocol/glob.ts'
import { isJsonObject } from '../protocol/json.ts'
import type { Json } from '../protocol/pdu.ts'
import { put, remove, type Store } from '../store/index.ts'
import { type BlockedServerRow, blockedServers } from './store.ts'

const MAX_PATTERNS = 1_000

/** Other servers that this home has nothing to do with: no request of theirs is answered, and none is sent to them. */
export interface BlockedServers {
  /** Whether a server is one of them. The port does not count, as in rooms' access control lists. */
  isBlocked(serverName: string): boolean
  /** PDUs without those of their users, whoever passed them on. */
  withoutBlocked(pdus: readonly Json[]): readonly Json[]
  /** Those that were added last come first. */
  list(): Promise<readonly BlockedServerRow[]>
  /**
   * Adds one, or gives another reason for one that is there.
   * @param pattern a host name; `*` stands for any characters, `?` for one
   * @throws MatrixError 400 M_INVALID_PARAM for what matches no host name, or this home, and where there are very many
   */
  block(wish: { readonly pattern: string; readonly reason: string; readonly by: string }): Promise<void>
  /** @throws MatrixError 404 M_NOT_FOUND */
  unblock(pattern: string): Promise<void>
}

const PATTERN = /^(?:[a-z0-9.*?-]{1,255}|\[?[0-9a-f:.*?]{2,45}\]?)$/

export async function openBlockedServers(parts: {
  readonly serverName: string
  readonly clock: Clock
  readonly store: Store
}): Promise<BlockedServers> {
  const { serverName: ownName, clock, store } = parts
  const globs = new Map<string, Glob>()
  for (const { pattern } of await store.home.range(blockedServers, { index: 'pattern' })) {
    globs.set(pattern, compileGlob(pattern))
  }
  const inLock = <T>(work: () => Promise<T>): Promise<T> => store.exclusive('federation:blocked-servers', work)

  function isBlocked(serverName: string): boolean {
    if (globs.size === 0) return false
    const host = hostOf(serverName)
    for (const glob of globs.values()) if (glob.matches(host)) return true
    return false
  }

  return {
    isBlocked,

    withoutBlocked(pdus) {
      if (globs.size === 0) return pdus
      return pdus.filter((pdu) => {
        const sender = isJsonObject(pdu) ? pdu.sender : undefined
        return typeof sender !== 'string' || !isBlocked(serverNameOf(sender))
      })
    },

    async list() {
      const rows = await store.home.range(blockedServers, { index: 'pattern' })
      return [...rows].sort((a, b) => b.createdTs - a.createdTs)
    },

    async block({ pattern: wished, reason, by }) {
      const pattern = wished.toLowerCase().replace(/^\[(.*)\]$/, '$1')
      if (!PATTERN.test(pattern)) throw invalidParam('That is no host name, nor a pattern of one')
      const glob = compileGlob(pattern)
      if (glob.matches(hostOf(ownName))) throw invalidParam('That would block this home itself')
      await inLock(async () => {
        if (!globs.has(pattern) && globs.size >= MAX_PATTERNS) throw invalidParam('Too many servers are blocked')
        await store.commit(() => [put(blockedServers, { pattern, reason, blockedBy: by, createdTs: clock.now() })])
        globs.set(pattern, glob)
      })
    },

    async unblock(wished) {
      const pattern = wished.toLowerCase().replace(/^\[(.*)\]$/, '$1')
      await inLock(async () => {
        if (!globs.has(pattern)) throw notFound('That server is not blocked')
        await store.commit(() => [remove(blockedServers, pattern)])
        globs.delete(pattern)
      })
    },
  }
}

function hostOf(serverName: string): string {
  return (parseServerName(serverName)?.hostname ?? serverName).toLowerCase()
}
