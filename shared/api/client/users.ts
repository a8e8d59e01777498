/** Finding users. Spec: data/api/client-server/users.yaml. */
import { Type } from 'typebox'
import { UserId } from '../../matrix/schemas.ts'
import { endpoint } from '../endpoint.ts'

export const searchUserDirectory = endpoint({
  operationId: 'searchUserDirectory',
  method: 'POST',
  url: '/_matrix/client/v3/user_directory/search',
  auth: 'accessToken',
  rateLimited: true,
  path: Type.Object({}),
  query: Type.Object({}),
  body: Type.Object({ search_term: Type.String(), limit: Type.Optional(Type.Integer({ minimum: 0 })) }),
  reply: Type.Object({
    results: Type.Array(
      Type.Object({
        user_id: UserId,
        display_name: Type.Optional(Type.String()),
        avatar_url: Type.Optional(Type.String()),
      }),
    ),
    limited: Type.Boolean(),
  }),
  errors: {},
})
