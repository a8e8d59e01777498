import { Type } from 'typebox'
import { AuthData } from '../auth-data.ts'
import { endpoint } from '../endpoint.ts'

/** A token with which another client of the user logs in, once. Spec: data/api/client-server/login_token.yaml. */
export const generateLoginToken = endpoint({
  operationId: 'generateLoginToken',
  method: 'POST',
  url: '/_matrix/client/v1/login/get_token',
  auth: 'accessToken',
  rateLimited: true,
  path: Type.Object({}),
  query: Type.Object({}),
  body: Type.Object({ auth: Type.Optional(AuthData) }),
  reply: Type.Object({ login_token: Type.String(), expires_in_ms: Type.Integer() }),
  errors: { M_BAD_JSON: 400, M_FORBIDDEN: 403 },
})
