import { getLoginFlows, login } from '../../../shared/api/client/login.ts'
import { forbidden, MatrixError, missingParam } from '../../../shared/matrix/errors.ts'
import { type Accounts, parseUserIdentifier } from '../../accounts/index.ts'
import { type Route, route } from '../../http/route.ts'
import { PASSWORD } from '../../http/uia.ts'
import { sessionReply, sessionRequestOf } from '../session-reply.ts'

export const loginRoutes = (accounts: Accounts): readonly Route[] => [
  route(getLoginFlows, async () => ({ flows: [{ type: PASSWORD }] })),

  route(login, async ({ body, request }) => {
    if (body.type === 'm.login.application_service') throw forbidden('The token is not that of an application service')
    if (body.type !== PASSWORD) throw new MatrixError('M_UNKNOWN', 400, 'This type of login is not offered')
    if (body.password === undefined) throw missingParam("'password' is missing")
    const identifier = parseUserIdentifier(body)
    const proof = { identifier, password: body.password, ip: request.ip }
    return sessionReply(await accounts.logIn(proof, sessionRequestOf(body)))
  }),
]
