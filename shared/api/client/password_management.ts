import { Type } from 'typebox'
import { AuthData } from '../auth-data.ts'
import { endpoint } from '../endpoint.ts'

/** A new password. Spec: data/api/client-server/password_management.yaml. */
export const changePassword = endpoint({
  operationId: 'changePassword',
  method: 'POST',
  url: '/_matrix/client/v3/account/password',
  auth: 'accessToken?',
  rateLimited: true,
  path: Type.Object({}),
  query: Type.Object({}),
  body: Type.Object({
    new_password: Type.String(),
    logout_devices: Type.Optional(Type.Boolean()),
    auth: Type.Optional(AuthData),
  }),
  reply: Type.Object({}),
  errors: { M_WEAK_PASSWORD: 400, M_FORBIDDEN: 403 },
})
