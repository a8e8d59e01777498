/**
 * The account data of an answer of sliding sync. Spec: MSC3959.
 */
import type { AccountDataEntry, AccountsForReaders } from '../accounts/index.ts'
import type { Push } from '../push/index.ts'
import type { Choice } from './sliding-chosen.ts'
import type { Connection, ToldRooms } from './sliding-connection.ts'
import { scopedRooms, TOLD_NOTHING } from './sliding-scope.ts'
import type { Wish } from './sliding-wish.ts'

export interface AccountDataPart {
  /** JSON; `undefined` where there is nothing new. */
  readonly text: string | undefined
  readonly isGlobalTold: boolean
  readonly told: ToldRooms
}

export async function accountDataPart(
  deps: { readonly accounts: AccountsForReaders; readonly push: Push },
  query: {
    readonly userId: string
    readonly connection: Connection
    readonly wish: Wish
    readonly choice: Choice
    /** What changed since the connection's position. */
    readonly changed: readonly AccountDataEntry[]
    readonly upTo: number
  },
): Promise<AccountDataPart> {
  const { userId, connection, wish, choice, changed, upTo } = query
  const scope = wish.extensions.accountData
  if (!scope) return { text: undefined, isGlobalTold: false, told: TOLD_NOTHING }
  const global = connection.globalAccountData
    ? changed.filter(({ roomId }) => roomId === null).map(textOf)
    : await allGlobal(deps, userId)
  const changedIn = new Set(changed.map(({ roomId }) => roomId))
  const { rooms, told } = scopedRooms(connection, connection.accountData, {
    scope,
    wish,
    choice,
    hasNews: (roomId) => changedIn.has(roomId),
  })
  const texts: string[] = []
  for (const { roomId, since } of rooms) {
    const all = await deps.accounts.listAccountData(userId, roomId)
    const news = all.filter(({ position }) => position <= upTo && (since === null || position > since))
    if (news.length > 0) texts.push(`${JSON.stringify(roomId)}:[${news.map(textOf).join(',')}]`)
  }
  const isEmpty = global.length === 0 && texts.length === 0
  const text = isEmpty ? undefined : `{"global":[${global.join(',')}],"rooms":{${texts.join(',')}}}`
  return { text, isGlobalTold: true, told }
}

const textOf = ({ type, content }: Pick<AccountDataEntry, 'type' | 'content'>): string =>
  JSON.stringify({ type, content })

/** Push rules are always there, even where the user has not changed any. */
async function allGlobal(
  { accounts, push }: { readonly accounts: AccountsForReaders; readonly push: Push },
  userId: string,
): Promise<readonly string[]> {
  const entries = await accounts.listAccountData(userId, null)
  const ruleset = await push.rules.rulesetOf(userId)
  return [
    ...entries.filter(({ type }) => type !== 'm.push_rules').map(textOf),
    JSON.stringify({ type: 'm.push_rules', content: { global: ruleset } }),
  ]
}
