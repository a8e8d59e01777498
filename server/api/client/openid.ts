import { requestOpenIdToken } from '../../../shared/api/client/openid.ts'
import { forbidden } from '../../../shared/matrix/errors.ts'
import { serverNameOf } from '../../../shared/matrix/identifiers.ts'
import type { Accounts } from '../../accounts/index.ts'
import { type Route, route } from '../../http/route.ts'

export const openIdRoutes = ({ openIdTokens }: Pick<Accounts, 'openIdTokens'>): readonly Route[] => [
  route(requestOpenIdToken, async ({ path: { userId }, requester }) => {
    if (requester.userId !== userId) throw forbidden('You cannot get a token of another user')
    const { token, expiresInMs } = await openIdTokens.issue(userId)
    return {
      access_token: token,
      token_type: 'Bearer',
      matrix_server_name: serverNameOf(userId),
      expires_in: Math.floor(expiresInMs / 1000),
    }
  }),
]
