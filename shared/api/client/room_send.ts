import { Type } from 'typebox'
import { AnyObject } from '../../matrix/json.ts'
import { EventId, RoomId } from '../../matrix/schemas.ts'
import { endpoint } from '../endpoint.ts'

/** Sending a message event. Spec: data/api/client-server/room_send.yaml. */
export const sendMessage = endpoint({
  operationId: 'sendMessage',
  method: 'PUT',
  url: '/_matrix/client/v3/rooms/{roomId}/send/{eventType}/{txnId}',
  auth: 'accessToken',
  rateLimited: false,
  path: Type.Object({
    roomId: RoomId,
    eventType: Type.String({ minLength: 1 }),
    txnId: Type.String({ minLength: 1, maxLength: 255 }),
  }),
  // `ts` only means something together with an application service's token.
  query: Type.Object({
    ts: Type.Optional(Type.Integer({ minimum: 0 })),
    // Spec: MSC4140, as of before it had an endpoint of its own; milliseconds.
    'org.matrix.msc4140.delay': Type.Optional(Type.Integer({ minimum: 1 })),
  }),
  body: AnyObject,
  reply: Type.Object({ event_id: EventId }),
  errors: { M_DUPLICATE_ANNOTATION: 400 },
})
