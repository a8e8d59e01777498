/**
 * The door of `push/`: push rules, whom a user ignores, unread counts.
 */
import type { AccountsForReaders } from '../accounts/index.ts'
import type { Ephemeral } from '../ephemeral/index.ts'
import type { RoomsForReaders } from '../rooms/index.ts'
import type { Store } from '../store/index.ts'
import { createUnread, type Unread } from './counts.ts'
import { createIgnoredUsers, type IgnoredUsers } from './ignored-users.ts'
import { createPushRules, type PushRules } from './push-rules.ts'

export type { Counts, Unread } from './counts.ts'
export type { IgnoredUsers } from './ignored-users.ts'
export type { PushRules } from './push-rules.ts'

export interface Push extends Disposable {
  readonly rules: PushRules
  readonly ignored: IgnoredUsers
  readonly unread: Unread
}

export function createPush(deps: {
  readonly store: Store
  readonly rooms: RoomsForReaders
  readonly accounts: AccountsForReaders
  readonly ephemeral: Pick<Ephemeral, 'receipts'>
}): Push {
  const { store, rooms, accounts, ephemeral } = deps
  const rules = createPushRules(accounts, store)
  const ignored = createIgnoredUsers(accounts)
  const unread = createUnread({ rooms, accounts, receipts: ephemeral.receipts, pushRules: rules, ignored })
  return {
    rules,
    ignored,
    unread,
    [Symbol.dispose]() {
      unread[Symbol.dispose]()
      ignored[Symbol.dispose]()
      rules[Symbol.dispose]()
    },
  }
}
