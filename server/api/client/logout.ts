import { logout, logout_all } from '../../../shared/api/client/logout.ts'
import type { Accounts } from '../../accounts/index.ts'
import { type Route, route } from '../../http/route.ts'

export const logoutRoutes = (accounts: Accounts): readonly Route[] => [
  route(logout, async ({ requester }) => {
    if (requester.deviceId !== null) await accounts.removeDevices(requester.userId, [requester.deviceId])
    return {}
  }),

  route(logout_all, async ({ requester }) => {
    await accounts.removeAllDevices(requester.userId)
    return {}
  }),
]
