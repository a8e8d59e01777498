import { Type } from 'typebox'
import { endpoint } from '../endpoint.ts'

/** Whether an account could be made with a token now. Spec: data/api/client-server/registration_tokens.yaml. */
export const registrationTokenValidity = endpoint({
  operationId: 'registrationTokenValidity',
  method: 'GET',
  url: '/_matrix/client/v1/register/m.login.registration_token/validity',
  auth: 'none',
  rateLimited: true,
  path: Type.Object({}),
  query: Type.Object({ token: Type.String() }),
  body: null,
  reply: Type.Object({ valid: Type.Boolean() }),
  errors: { M_FORBIDDEN: 403 },
})
