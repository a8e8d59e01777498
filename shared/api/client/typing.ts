import { Type } from 'typebox'
import { RoomId, UserId } from '../../matrix/schemas.ts'
import { endpoint } from '../endpoint.ts'

/** Says that a user types, or no longer types, in a room. Spec: data/api/client-server/typing.yaml. */
export const setTyping = endpoint({
  operationId: 'setTyping',
  method: 'PUT',
  url: '/_matrix/client/v3/rooms/{roomId}/typing/{userId}',
  auth: 'accessToken',
  rateLimited: true,
  path: Type.Object({ roomId: RoomId, userId: UserId }),
  query: Type.Object({}),
  body: Type.Object({
    typing: Type.Boolean(),
    /** Milliseconds. */
    timeout: Type.Optional(Type.Integer({ minimum: 0 })),
  }),
  reply: Type.Object({}),
  errors: {},
})
