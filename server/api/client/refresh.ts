import { refresh } from '../../../shared/api/client/refresh.ts'
import type { Accounts } from '../../accounts/index.ts'
import { type Route, route } from '../../http/route.ts'

export const refreshRoutes = (accounts: Accounts): readonly Route[] => [
  route(refresh, async ({ body }) => {
    const { accessToken, refreshToken, expiresInMs } = await accounts.refresh(body.refresh_token)
    return {
      access_token: accessToken,
      ...(refreshToken === undefined ? {} : { refresh_token: refreshToken }),
      ...(expiresInMs === undefined ? {} : { expires_in_ms: expiresInMs }),
    }
  }),
]
