/**
 * Whom a user ignores: account data of type `m.ignored_user_list`. Spec: client-server-api §Ignoring Users.
 */
import type { AccountsForReaders } from '../accounts/index.ts'
import { isJsonObject, ownValue } from '../protocol/json.ts'

const TYPE = 'm.ignored_user_list'
const MAX_IN_MEMORY = 2_000
const NOBODY: ReadonlySet<string> = new Set()

export interface IgnoredUsers {
  /** From memory, without waiting, for users in use. */
  of(userId: string): ReadonlySet<string> | Promise<ReadonlySet<string>>
}

export function createIgnoredUsers(accounts: AccountsForReaders): IgnoredUsers & Disposable {
  const known = new Map<string, ReadonlySet<string>>()
  let changes = 0
  const endSubscription = accounts.onAccountData(({ userId, roomId, type }) => {
    if (type !== TYPE || roomId !== null) return
    changes += 1
    known.delete(userId)
  })

  async function read(userId: string): Promise<ReadonlySet<string>> {
    const changesBefore = changes
    const entry = await accounts.findAccountData(userId, null, TYPE)
    const list = entry && ownValue(entry.content, 'ignored_users')
    const ignored = isJsonObject(list) ? new Set(Object.keys(list)) : NOBODY
    // Nobody can ignore themself: they would lose what they sent from other devices.
    if (ignored.has(userId)) (ignored as Set<string>).delete(userId)
    if (changes !== changesBefore) return ignored
    known.set(userId, ignored)
    for (const oldest of known.keys()) {
      if (known.size <= MAX_IN_MEMORY) break
      known.delete(oldest)
    }
    return ignored
  }

  return { of: (userId) => known.get(userId) ?? read(userId), [Symbol.dispose]: endSubscription }
}
