import { Type } from 'typebox'
import { endpoint } from '../endpoint.ts'

/** Whose OpenID token this is. Anybody may ask who has it. Spec: data/api/server-server/openid.yaml. */
export const exchangeOpenIdToken = endpoint({
  operationId: 'exchangeOpenIdToken',
  method: 'GET',
  url: '/_matrix/federation/v1/openid/userinfo',
  auth: 'none',
  rateLimited: false,
  path: Type.Object({}),
  query: Type.Object({ access_token: Type.String() }),
  body: null,
  reply: Type.Object({ sub: Type.String() }),
  errors: { M_UNKNOWN_TOKEN: 401 },
})
