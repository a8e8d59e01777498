import { Type } from 'typebox'
import { AnyObject } from '../../matrix/json.ts'
import { UserId } from '../../matrix/schemas.ts'
import { endpoint } from '../endpoint.ts'

/** A token with which others can find out who the user is. Spec: data/api/client-server/openid.yaml. */
export const requestOpenIdToken = endpoint({
  operationId: 'requestOpenIdToken',
  method: 'POST',
  url: '/_matrix/client/v3/user/{userId}/openid/request_token',
  auth: 'accessToken',
  rateLimited: true,
  path: Type.Object({ userId: UserId }),
  query: Type.Object({}),
  body: AnyObject,
  reply: Type.Object({
    access_token: Type.String(),
    token_type: Type.String(),
    matrix_server_name: Type.String(),
    /** Seconds. */
    expires_in: Type.Integer(),
  }),
  errors: { M_FORBIDDEN: 403 },
})
