import { Type } from 'typebox'
import { UserId } from '../../matrix/schemas.ts'
import { endpoint } from '../endpoint.ts'

/** Whose access token this is. Spec: data/api/client-server/whoami.yaml. */
export const getTokenOwner = endpoint({
  operationId: 'getTokenOwner',
  method: 'GET',
  url: '/_matrix/client/v3/account/whoami',
  auth: 'accessToken',
  rateLimited: true,
  path: Type.Object({}),
  query: Type.Object({}),
  body: null,
  reply: Type.Object({
    user_id: UserId,
    device_id: Type.Optional(Type.String()),
    is_guest: Type.Optional(Type.Boolean()),
  }),
  errors: { M_UNKNOWN_TOKEN: 401, M_FORBIDDEN: 403 },
})
