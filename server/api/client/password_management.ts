import {
  changePassword,
  requestTokenToResetPasswordEmail,
  requestTokenToResetPasswordMSISDN,
} from '../../../shared/api/client/password_management.ts'
import { forbidden } from '../../../shared/matrix/errors.ts'
import { type Accounts, requireGoodPassword, requireLegacySession } from '../../accounts/index.ts'
import { type Route, route } from '../../http/route.ts'
import { EMAIL, PASSWORD, type Uia } from '../../http/uia.ts'
import type { EmailValidation } from '../../identity/index.ts'
import { noPhones, type RequestEmail } from './email-requests.ts'

export const passwordManagementRoutes = (given: {
  readonly accounts: Accounts
  readonly emails: EmailValidation
  readonly requestEmail: RequestEmail
  readonly uia: Uia
}): readonly Route[] => {
  const { accounts, emails, requestEmail, uia } = given
  const flows = emails.isPossible ? [[PASSWORD], [EMAIL]] : [[PASSWORD]]
  return [
    route(changePassword, async ({ body, requester, request }) => {
      requireLegacySession(requester)
      requireGoodPassword(body.new_password)
      const userId = requester?.userId ?? null
      const call = { operation: 'changePassword', body, userId, flows, ip: request.ip }
      return uia.run(call, async (proof) => {
        if (proof.userId === null) throw forbidden('Nobody has proven to be the user')
        await accounts.changePassword({
          userId: proof.userId,
          newPassword: body.new_password,
          logOut: body.logout_devices ?? true,
          keep: requester?.deviceId ?? null,
        })
        if (proof.email) await emails.consume(proof.email.sid)
        return {}
      })
    }),

    route(requestTokenToResetPasswordEmail, ({ body, request }) => requestEmail('reset', body, request)),

    route(requestTokenToResetPasswordMSISDN, async () => {
      throw noPhones('reset')
    }),
  ]
}
