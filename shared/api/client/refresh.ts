import { Type } from 'typebox'
import { endpoint } from '../endpoint.ts'

/** Fresh tokens for a refresh token. Spec: data/api/client-server/refresh.yaml. */
export const refresh = endpoint({
  operationId: 'refresh',
  method: 'POST',
  url: '/_matrix/client/v3/refresh',
  auth: 'none',
  rateLimited: true,
  path: Type.Object({}),
  query: Type.Object({}),
  body: Type.Object({ refresh_token: Type.String() }),
  reply: Type.Object({
    access_token: Type.String(),
    refresh_token: Type.Optional(Type.String()),
    expires_in_ms: Type.Optional(Type.Integer()),
  }),
  errors: { M_UNKNOWN_TOKEN: 401 },
})
