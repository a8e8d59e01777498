import { exchangeOpenIdToken } from '../../../shared/api/federation/openid.ts'
import { unknownToken } from '../../../shared/matrix/errors.ts'
import type { Accounts } from '../../accounts/index.ts'
import { type Route, route } from '../../http/route.ts'

export const exchangeOpenIdRoutes = ({ openIdTokens }: Pick<Accounts, 'openIdTokens'>): readonly Route[] => [
  route(exchangeOpenIdToken, async ({ query }) => {
    const userId = await openIdTokens.find(query.access_token)
    if (userId === undefined) throw unknownToken('Access token unknown or expired')
    return { sub: userId }
  }),
]
