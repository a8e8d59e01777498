import { Type } from 'typebox'
import { EventId, RoomId } from '../../matrix/schemas.ts'
import { endpoint } from '../endpoint.ts'

/** Marks a room, or a thread of it, as read up to an event. Spec: data/api/client-server/receipts.yaml. */
export const postReceipt = endpoint({
  operationId: 'postReceipt',
  method: 'POST',
  url: '/_matrix/client/v3/rooms/{roomId}/receipt/{receiptType}/{eventId}',
  auth: 'accessToken',
  rateLimited: true,
  path: Type.Object({
    roomId: RoomId,
    receiptType: Type.Union([Type.Literal('m.read'), Type.Literal('m.read.private'), Type.Literal('m.fully_read')]),
    eventId: EventId,
  }),
  query: Type.Object({}),
  // `thread_id` is checked by the handler: whatever is wrong with it must be answered with M_INVALID_PARAM.
  body: Type.Object({ thread_id: Type.Optional(Type.Unknown()) }),
  reply: Type.Object({}),
  errors: { M_INVALID_PARAM: 400 },
})
