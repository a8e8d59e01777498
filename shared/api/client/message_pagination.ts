import { Type } from 'typebox'
import { RoomId } from '../../matrix/schemas.ts'
import { endpoint } from '../endpoint.ts'
import { ClientEvent } from './client-event.ts'

/** A page of a room's history. Spec: data/api/client-server/message_pagination.yaml. */
export const getRoomEvents = endpoint({
  operationId: 'getRoomEvents',
  method: 'GET',
  url: '/_matrix/client/v3/rooms/{roomId}/messages',
  auth: 'accessToken',
  rateLimited: false,
  path: Type.Object({ roomId: RoomId }),
  query: Type.Object({
    from: Type.Optional(Type.String()),
    to: Type.Optional(Type.String()),
    dir: Type.Enum(['b', 'f']),
    limit: Type.Optional(Type.Integer({ minimum: 0 })),
    /** JSON of a `RoomEventFilter`. */
    filter: Type.Optional(Type.String()),
  }),
  body: null,
  reply: Type.Object({
    start: Type.String(),
    end: Type.Optional(Type.String()),
    chunk: Type.Array(ClientEvent),
    state: Type.Optional(Type.Array(ClientEvent)),
  }),
  errors: { M_FORBIDDEN: 403 },
})
