import {
  getAccountData,
  getAccountDataPerRoom,
  setAccountData,
  setAccountDataPerRoom,
} from '../../../shared/api/client/account-data.ts'
import type { Accounts } from '../../accounts/index.ts'
import { Reply, type Route, route } from '../../http/route.ts'
import type { PushRules } from '../../push/index.ts'
import { requireOwnData } from './own-data.ts'

export const accountDataRoutes = (
  { accountData }: Pick<Accounts, 'accountData'>,
  pushRules: Pick<PushRules, 'rulesetOf'>,
): readonly Route[] => [
  route(setAccountData, async ({ path: { userId, type }, body, requester }) => {
    requireOwnData(requester, userId)
    await accountData.setAsClient({ userId, roomId: null, type, content: body })
    return {}
  }),

  route(getAccountData, async ({ path: { userId, type }, requester }) => {
    requireOwnData(requester, userId)
    // Everybody has push rules; only those who have changed some have them stored.
    if (type === 'm.push_rules') return Reply.json(JSON.stringify({ global: await pushRules.rulesetOf(userId) }))
    return accountData.getContent({ userId, roomId: null, type })
  }),

  route(setAccountDataPerRoom, async ({ path: { userId, roomId, type }, body, requester }) => {
    requireOwnData(requester, userId)
    await accountData.setAsClient({ userId, roomId, type, content: body })
    return {}
  }),

  route(getAccountDataPerRoom, async ({ path: { userId, roomId, type }, requester }) => {
    requireOwnData(requester, userId)
    return accountData.getContent({ userId, roomId, type })
  }),
]
