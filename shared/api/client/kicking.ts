import { Type } from 'typebox'
import { RoomId, UserId } from '../../matrix/schemas.ts'
import { endpoint } from '../endpoint.ts'

/** Putting a user out of a room. Spec: data/api/client-server/kicking.yaml. */
export const kick = endpoint({
  operationId: 'kick',
  method: 'POST',
  url: '/_matrix/client/v3/rooms/{roomId}/kick',
  auth: 'accessToken',
  rateLimited: false,
  path: Type.Object({ roomId: RoomId }),
  query: Type.Object({}),
  body: Type.Object({ user_id: UserId, reason: Type.Optional(Type.String()) }),
  reply: Type.Object({}),
  errors: { M_FORBIDDEN: 403 },
})
