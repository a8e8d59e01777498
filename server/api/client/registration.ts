import { checkUsernameAvailability, register } from '../../../shared/api/client/registration.ts'
import { MatrixError, missingParam } from '../../../shared/matrix/errors.ts'
import type { Accounts } from '../../accounts/index.ts'
import { APPLICATION_SERVICE, type Appservices } from '../../appservices/index.ts'
import type { Household } from '../../household/index.ts'
import { type Route, route } from '../../http/route.ts'
import { DUMMY, REGISTRATION_TOKEN, TERMS, type Uia } from '../../http/uia.ts'
import { sessionReply, sessionRequestOf } from '../session-reply.ts'

export const registrationRoutes = (
  accounts: Accounts,
  { admission }: Pick<Household, 'admission'>,
  uia: Uia,
  appservices: Pick<Appservices, 'requireToken' | 'requireOwnUsername'>,
): readonly Route[] => [
  route(register, async ({ query, body, request }) => {
    if (body.type === APPLICATION_SERVICE) {
      const appservice = appservices.requireToken(request.accessToken)
      const { username } = body
      if (username === undefined) throw missingParam("'username' is missing")
      appservices.requireOwnUsername(appservice, username)
      const session = body.inhibit_login ? null : sessionRequestOf(body)
      const made = await accounts.register({ username, password: null, appserviceId: appservice.id, session })
      return made.session ? sessionReply(made.session) : { user_id: made.userId }
    }
    if (query.kind === 'guest') {
      throw new MatrixError('M_GUEST_ACCESS_FORBIDDEN', 403, 'This server has no guest accounts')
    }
    const { username, password } = body
    const policies = await admission.terms()
    const hasTerms = Object.keys(policies).length > 0
    const call = {
      operation: 'register',
      body,
      userId: null,
      flows: await flowsOf(admission, hasTerms),
      ...(hasTerms && { params: { [TERMS]: { policies } } }),
      ip: request.ip,
      check: () => admission.requireMayRegister(username),
    }
    return uia.run(call, async ({ registrationToken }) => {
      if (password === undefined) throw missingParam("'password' is missing")
      const session = body.inhibit_login ? null : sessionRequestOf(body)
      const made = await admission.register({ username, password, session }, { registrationToken, accepted: policies })
      return made.session ? sessionReply(made.session) : { user_id: made.userId }
    })
  }),

  route(checkUsernameAvailability, async ({ query }) => {
    await admission.requireMayRegister(query.username)
    return { available: true }
  }),
]

/** Also where the last token has just been used up: whoever used it may ask for the answer again. */
async function flowsOf(admission: Household['admission'], hasTerms: boolean): Promise<readonly (readonly string[])[]> {
  const isOpen = (await admission.door()) === 'open'
  const stages = [...(isOpen ? [] : [REGISTRATION_TOKEN]), ...(hasTerms ? [TERMS] : [])]
  return [stages.length > 0 ? stages : [DUMMY]]
}
