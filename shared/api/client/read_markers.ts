import { Type } from 'typebox'
import { EventId, RoomId } from '../../matrix/schemas.ts'
import { endpoint } from '../endpoint.ts'

/** Sets the fully read marker of a room, and receipts along with it. Spec: data/api/client-server/read_markers.yaml. */
export const setReadMarker = endpoint({
  operationId: 'setReadMarker',
  method: 'POST',
  url: '/_matrix/client/v3/rooms/{roomId}/read_markers',
  auth: 'accessToken',
  rateLimited: true,
  path: Type.Object({ roomId: RoomId }),
  query: Type.Object({}),
  body: Type.Object({
    'm.fully_read': Type.Optional(EventId),
    'm.read': Type.Optional(EventId),
    'm.read.private': Type.Optional(EventId),
  }),
  reply: Type.Object({}),
  errors: {},
})
