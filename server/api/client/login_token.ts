import { generateLoginToken } from '../../../shared/api/client/login_token.ts'
import { requireLegacySession } from '../../accounts/index.ts'
import { type Route, route } from '../../http/route.ts'
import { PASSWORD, type Uia } from '../../http/uia.ts'
import { CARRIED_TOKEN_LIFETIME_MS, type OAuth } from '../../oauth/index.ts'

export const loginTokenRoutes = (loginTokens: OAuth['loginTokens'], uia: Uia): readonly Route[] => [
  route(generateLoginToken, async ({ body, requester, request }) => {
    requireLegacySession(requester)
    const { userId } = requester
    const call = { operation: 'generateLoginToken', body, userId, flows: [[PASSWORD]], ip: request.ip }
    return uia.run(call, async () => ({
      login_token: loginTokens.issue(userId, CARRIED_TOKEN_LIFETIME_MS),
      expires_in_ms: CARRIED_TOKEN_LIFETIME_MS,
    }))
  }),
]
