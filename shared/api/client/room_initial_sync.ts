import { Type } from 'typebox'
import { AnyObject } from '../../matrix/json.ts'
import { RoomId } from '../../matrix/schemas.ts'
import { endpoint } from '../endpoint.ts'
import { ClientEvent } from './client-event.ts'

/** A look into a room, mostly by those who are not in it. Spec: data/api/client-server/room_initial_sync.yaml. */
export const roomInitialSync = endpoint({
  operationId: 'roomInitialSync',
  method: 'GET',
  url: '/_matrix/client/v3/rooms/{roomId}/initialSync',
  auth: 'accessToken',
  rateLimited: false,
  path: Type.Object({ roomId: RoomId }),
  query: Type.Object({}),
  body: null,
  reply: Type.Object({
    room_id: RoomId,
    membership: Type.Optional(Type.Enum(['invite', 'join', 'leave', 'ban'])),
    messages: Type.Optional(
      Type.Object({
        start: Type.Optional(Type.String()),
        end: Type.String(),
        chunk: Type.Array(ClientEvent),
      }),
    ),
    state: Type.Optional(Type.Array(ClientEvent)),
    visibility: Type.Optional(Type.Enum(['private', 'public'])),
    account_data: Type.Optional(Type.Array(Type.Object({ type: Type.String(), content: AnyObject }))),
  }),
  errors: { M_FORBIDDEN: 403 },
})
