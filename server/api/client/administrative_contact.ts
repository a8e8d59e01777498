import {
  add3PID,
  bind3PID,
  delete3pidFromAccount,
  getAccount3PIDs,
  post3PIDs,
  requestTokenTo3PIDEmail,
  requestTokenTo3PIDMSISDN,
  unbind3pidFromAccount,
} from '../../../shared/api/client/administrative_contact.ts'
import { MatrixError } from '../../../shared/matrix/errors.ts'
import { type Accounts, requireLegacySession, requireNotSuspended } from '../../accounts/index.ts'
import { type Route, route } from '../../http/route.ts'
import { PASSWORD, type Uia } from '../../http/uia.ts'
import type { EmailValidation } from '../../identity/index.ts'
import { noPhones, type RequestEmail } from './email-requests.ts'

const notOpened = (): MatrixError =>
  new MatrixError('M_THREEPID_AUTH_FAILED', 400, 'The link in the mail has not been opened yet')

/** No identity server is trusted here, and nothing was ever bound at one. */
const NOT_BOUND = { id_server_unbind_result: 'no-support' as const }

export const administrativeContactRoutes = (given: {
  readonly accounts: Pick<Accounts, 'thirdPartyIds'>
  readonly emails: EmailValidation
  readonly requestEmail: RequestEmail
  readonly uia: Uia
}): readonly Route[] => {
  const { accounts, emails, requestEmail, uia } = given
  return [
    route(getAccount3PIDs, async ({ requester }) => {
      const ids = await accounts.thirdPartyIds.list(requester.userId)
      return {
        threepids: ids.map(({ medium, address, validatedTs, addedTs }) => ({
          medium,
          address,
          validated_at: validatedTs,
          added_at: addedTs,
        })),
      }
    }),

    route(add3PID, async ({ body, requester, request }) => {
      requireLegacySession(requester)
      const { userId } = requester
      const session = { purpose: 'add', sid: body.sid, clientSecret: body.client_secret } as const
      const check = async (): Promise<void> => {
        if (!(await emails.findProof(session))) throw notOpened()
      }
      const call = { operation: 'add3PID', body, userId, flows: [[PASSWORD]], ip: request.ip, check }
      return uia.run(call, async () => {
        const proof = await emails.findProof(session)
        if (!proof) throw notOpened()
        await accounts.thirdPartyIds.add(userId, proof)
        await emails.consume(session.sid)
        return {}
      })
    }),

    route(delete3pidFromAccount, async ({ body, requester }) => {
      requireNotSuspended(requester)
      await accounts.thirdPartyIds.remove(requester.userId, body.medium, body.address)
      return NOT_BOUND
    }),

    route(requestTokenTo3PIDEmail, ({ body, request }) => requestEmail('add', body, request)),

    route(requestTokenTo3PIDMSISDN, async () => {
      throw noPhones('add')
    }),

    route(post3PIDs, async () => {
      throw new MatrixError('M_THREEPID_AUTH_FAILED', 403, 'This server trusts no identity server')
    }),

    route(bind3PID, async () => {
      throw new MatrixError('M_SERVER_NOT_TRUSTED', 400, 'This server trusts no identity server')
    }),

    route(unbind3pidFromAccount, async () => NOT_BOUND),
  ]
}
