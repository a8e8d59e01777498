import { Type } from 'typebox'
import { RoomId } from '../../matrix/schemas.ts'
import { endpoint } from '../endpoint.ts'

/** The rooms that the user shares with another. Spec: data/api/client-server/mutual_rooms.yaml. */
export const getMutualRooms = endpoint({
  operationId: 'getMutualRooms',
  method: 'GET',
  url: '/_matrix/client/v1/mutual_rooms',
  auth: 'accessToken',
  rateLimited: true,
  path: Type.Object({}),
  // Whoever is no user shares no room: that is for the handler to say.
  query: Type.Object({ user_id: Type.String(), from: Type.Optional(Type.String()) }),
  body: null,
  reply: Type.Object({
    joined: Type.Array(RoomId),
    count: Type.Integer(),
    next_batch: Type.Optional(Type.String()),
  }),
  errors: { M_INVALID_PARAM: 400 },
})
