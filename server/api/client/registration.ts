import {
  checkUsernameAvailability,
  register,
  requestTokenToRegisterEmail,
  requestTokenToRegisterMSISDN,
} from '../../../shared/api/client/registration.ts'
import { MatrixError, missingParam } from '../../../shared/matrix/errors.ts'
import type { Accounts } from '../../accounts/index.ts'
import { APPLICATION_SERVICE, type Appservices } from '../../appservices/index.ts'
import type { Household } from '../../household/index.ts'
import type { RateLimits } from '../../http/rate-limit.ts'
import { type Route, route } from '../../http/route.ts'
import { DUMMY, EMAIL, REGISTRATION_TOKEN, TERMS, type Uia } from '../../http/uia.ts'
import type { EmailValidation } from '../../identity/index.ts'
import { sessionReply, sessionRequestOf } from '../session-reply.ts'
import { noPhones, type RequestEmail } from './email-requests.ts'

export const registrationRoutes = ({
  accounts,
  household: { admission, guestAccess },
  appservices,
  emails,
  requestEmail,
  rateLimits,
  uia,
}: {
  readonly accounts: Accounts
  readonly household: Pick<Household, 'admission' | 'guestAccess'>
  readonly appservices: Pick<Appservices, 'requireToken' | 'requireOwnUsername'>
  readonly emails: EmailValidation
  readonly requestEmail: RequestEmail
  readonly rateLimits: RateLimits
  readonly uia: Uia
}): readonly Route[] => [
  route(register, async ({ query, body, request }) => {
    if (query.kind === 'guest') {
      rateLimits.take('guestRegistration', request.ip)
      // The rest of the body counts for nothing. Spec: registration.yaml.
      return sessionReply(await guestAccess.register(body.initial_device_display_name))
    }
    if (body.type === APPLICATION_SERVICE) {
      const appservice = appservices.requireToken(request.accessToken)
      const { username } = body
      if (username === undefined) throw missingParam("'username' is missing")
      appservices.requireOwnUsername(appservice, username)
      const session = body.inhibit_login ? null : sessionRequestOf(body)
      const made = await accounts.register({ username, password: null, appserviceId: appservice.id, session })
      return made.session ? sessionReply(made.session) : { user_id: made.userId }
    }
    const { username, password, guest_access_token: guestAccessToken } = body
    const policies = await admission.terms()
    const hasTerms = Object.keys(policies).length > 0
    const call = {
      operation: 'register',
      body,
      userId: null,
      flows: await flowsOf(admission, { hasTerms, hasMail: emails.isPossible }),
      ...(hasTerms && { params: { [TERMS]: { policies } } }),
      ip: request.ip,
      check: () => admission.requireMayRegister(username, guestAccessToken),
    }
    return uia.run(call, async ({ registrationToken, email }) => {
      if (password === undefined) throw missingParam("'password' is missing")
      const session = body.inhibit_login ? null : sessionRequestOf(body)
      const shown = { registrationToken, accepted: policies, email }
      const made = await admission.register({ username, password, guestAccessToken, session }, shown)
      if (email) await emails.consume(email.sid)
      return made.session ? sessionReply(made.session) : { user_id: made.userId }
    })
  }),

  route(checkUsernameAvailability, async ({ query }) => {
    await admission.requireMayRegister(query.username)
    return { available: true }
  }),

  route(requestTokenToRegisterEmail, async ({ body, request }) => {
    if ((await admission.door()) === 'closed') {
      throw new MatrixError('M_THREEPID_DENIED', 403, 'Registration is closed on this server')
    }
    return requestEmail('register', body, request)
  }),

  route(requestTokenToRegisterMSISDN, async () => {
    throw noPhones('register')
  }),
]

/** Also where the last token has just been used up: whoever used it may ask for the answer again. */
async function flowsOf(
  admission: Household['admission'],
  { hasTerms, hasMail }: { hasTerms: boolean; hasMail: boolean },
): Promise<readonly (readonly string[])[]> {
  const isOpen = (await admission.door()) === 'open'
  const stages = [...(isOpen ? [] : [REGISTRATION_TOKEN]), ...(hasTerms ? [TERMS] : [])]
  // The dummy tells a flow without an address from the beginning of the other. Spec: §Dummy Auth.
  if (hasMail)
    return [
      [...stages, DUMMY],
      [...stages, EMAIL],
    ]
  return [stages.length > 0 ? stages : [DUMMY]]
}
