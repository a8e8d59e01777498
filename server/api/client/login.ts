import { getLoginFlows, login } from '../../../shared/api/client/login.ts'
import { MatrixError, missingParam } from '../../../shared/matrix/errors.ts'
import { type Accounts, parseUserIdentifier } from '../../accounts/index.ts'
import { APPLICATION_SERVICE, type Appservices } from '../../appservices/index.ts'
import { type Route, route } from '../../http/route.ts'
import { PASSWORD } from '../../http/uia.ts'
import type { OAuth } from '../../oauth/index.ts'
import { sessionReply, sessionRequestOf } from '../session-reply.ts'

const TOKEN = 'm.login.token'

/**
 * Passwords for clients that ask for them themselves, and our own login page for those that know that servers with OAuth have one.
 * Spec: client-server-api §OAuth 2.0 aware clients, server behaviour.
 */
const FLOWS = [
  { type: PASSWORD },
  { type: 'm.login.sso', oauth_aware_preferred: true, 'org.matrix.msc3824.delegated_oidc_compatibility': true },
  { type: TOKEN, get_login_token: true },
  { type: APPLICATION_SERVICE },
]

export const loginRoutes = (
  accounts: Accounts,
  loginTokens: OAuth['loginTokens'],
  appservices: Pick<Appservices, 'requireToken' | 'requireOwnLogin'>,
): readonly Route[] => [
  route(getLoginFlows, async () => ({ flows: FLOWS })),

  route(login, async ({ body, request }) => {
    if (body.type === APPLICATION_SERVICE) {
      const appservice = appservices.requireToken(request.accessToken)
      const userId = appservices.requireOwnLogin(appservice, parseUserIdentifier(body))
      return sessionReply(await accounts.logInWithoutPassword(userId, sessionRequestOf(body)))
    }
    if (body.type === TOKEN) {
      if (body.token === undefined) throw missingParam("'token' is missing")
      return sessionReply(await loginTokens.logIn(body.token, sessionRequestOf(body)))
    }
    if (body.type !== PASSWORD) throw new MatrixError('M_UNKNOWN', 400, 'This type of login is not offered')
    if (body.password === undefined) throw missingParam("'password' is missing")
    const identifier = parseUserIdentifier(body)
    const proof = { identifier, password: body.password, ip: request.ip }
    return sessionReply(await accounts.logIn(proof, sessionRequestOf(body)))
  }),
]
