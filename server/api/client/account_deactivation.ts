import { deactivateAccount } from '../../../shared/api/client/account_deactivation.ts'
import { forbidden } from '../../../shared/matrix/errors.ts'
import { type Accounts, requireLegacySession } from '../../accounts/index.ts'
import { type Route, route } from '../../http/route.ts'
import { PASSWORD, type Uia } from '../../http/uia.ts'

export const accountDeactivationRoutes = (accounts: Accounts, uia: Uia): readonly Route[] => [
  route(deactivateAccount, async ({ body, requester, request }) => {
    requireLegacySession(requester)
    const userId = requester?.userId ?? null
    const call = { operation: 'deactivateAccount', body, userId, flows: [[PASSWORD]], ip: request.ip }
    return uia.run(call, async ({ userId: provenUserId }) => {
      if (provenUserId === null) throw forbidden('Nobody has proven to be the user')
      await accounts.deactivate({ userId: provenUserId, erase: body.erase ?? false })
      // No identifier was ever bound at an identity server, and having nothing to unbind counts as success.
      return { id_server_unbind_result: 'success' as const }
    })
  }),
]
