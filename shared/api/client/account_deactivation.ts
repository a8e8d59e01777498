import { Type } from 'typebox'
import { AuthData } from '../auth-data.ts'
import { endpoint } from '../endpoint.ts'

/** The end of an account. Spec: data/api/client-server/account_deactivation.yaml. */
export const deactivateAccount = endpoint({
  operationId: 'deactivateAccount',
  method: 'POST',
  url: '/_matrix/client/v3/account/deactivate',
  auth: 'accessToken?',
  rateLimited: true,
  path: Type.Object({}),
  query: Type.Object({}),
  body: Type.Object({
    auth: Type.Optional(AuthData),
    id_server: Type.Optional(Type.String()),
    erase: Type.Optional(Type.Boolean()),
  }),
  reply: Type.Object({
    id_server_unbind_result: Type.Union([Type.Literal('success'), Type.Literal('no-support')]),
  }),
  errors: { M_FORBIDDEN: 403 },
})
