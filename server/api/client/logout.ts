import { logout, logout_all } from '../../../shared/api/client/logout.ts'
import type { Accounts } from '../../accounts/index.ts'
import { type Route, route } from '../../http/route.ts'
import type { OAuth } from '../../oauth/index.ts'

export const logoutRoutes = (
  accounts: Accounts,
  browserSessions: Pick<OAuth['browserSessions'], 'closeAll'>,
): readonly Route[] => [
  route(logout, async ({ requester }) => {
    if (requester.deviceId !== null) await accounts.removeDevices(requester.userId, [requester.deviceId])
    return {}
  }),

  route(logout_all, async ({ requester }) => {
    // Somebody who has lost a device wants nobody to be signed in anywhere, browsers at the account page included.
    await browserSessions.closeAll(requester.userId)
    await accounts.removeAllDevices(requester.userId)
    return {}
  }),
]
