import { changePassword } from '../../../shared/api/client/password_management.ts'
import { forbidden } from '../../../shared/matrix/errors.ts'
import { type Accounts, requireGoodPassword, requireLegacySession } from '../../accounts/index.ts'
import { type Route, route } from '../../http/route.ts'
import { PASSWORD, type Uia } from '../../http/uia.ts'

export const passwordManagementRoutes = (accounts: Accounts, uia: Uia): readonly Route[] => [
  route(changePassword, async ({ body, requester, request }) => {
    requireLegacySession(requester)
    requireGoodPassword(body.new_password)
    const userId = requester?.userId ?? null
    const call = { operation: 'changePassword', body, userId, flows: [[PASSWORD]], ip: request.ip }
    return uia.run(call, async ({ userId: provenUserId }) => {
      if (provenUserId === null) throw forbidden('Nobody has proven to be the user')
      await accounts.changePassword({
        userId: provenUserId,
        newPassword: body.new_password,
        logOut: body.logout_devices ?? true,
        keep: requester?.deviceId ?? null,
      })
      return {}
    })
  }),
]
