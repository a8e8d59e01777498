import { Type } from 'typebox'
import { AnyObject } from '../../matrix/json.ts'
import { EventId, RoomId } from '../../matrix/schemas.ts'
import { endpoint } from '../endpoint.ts'

/** Setting a piece of a room's state. Spec: data/api/client-server/room_state.yaml. */
export const setRoomStateWithKey = endpoint({
  operationId: 'setRoomStateWithKey',
  method: 'PUT',
  url: '/_matrix/client/v3/rooms/{roomId}/state/{eventType}/{stateKey}',
  aliases: [
    '/_matrix/client/v3/rooms/{roomId}/state/{eventType}',
    '/_matrix/client/v3/rooms/{roomId}/state/{eventType}/',
  ],
  auth: 'accessToken',
  rateLimited: false,
  path: Type.Object({ roomId: RoomId, eventType: Type.String({ minLength: 1 }), stateKey: Type.String() }),
  // `ts` only means something together with an application service's token.
  query: Type.Object({
    ts: Type.Optional(Type.Integer({ minimum: 0 })),
    // Spec: MSC4140, as of before it had an endpoint of its own; milliseconds.
    'org.matrix.msc4140.delay': Type.Optional(Type.Integer({ minimum: 1 })),
  }),
  body: AnyObject,
  reply: Type.Object({ event_id: EventId }),
  errors: { M_INVALID_PARAM: 400, M_BAD_ALIAS: 400, M_FORBIDDEN: 403, M_INVITE_BLOCKED: 403 },
})
