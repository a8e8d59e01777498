import { Type } from 'typebox'
import { EventId, RoomId } from '../../matrix/schemas.ts'
import { endpoint } from '../endpoint.ts'

/** Taking an event's content away. Spec: data/api/client-server/redaction.yaml. */
export const redactEvent = endpoint({
  operationId: 'redactEvent',
  method: 'PUT',
  url: '/_matrix/client/v3/rooms/{roomId}/redact/{eventId}/{txnId}',
  auth: 'accessToken',
  rateLimited: false,
  path: Type.Object({ roomId: RoomId, eventId: EventId, txnId: Type.String({ minLength: 1, maxLength: 255 }) }),
  query: Type.Object({}),
  body: Type.Object({ reason: Type.Optional(Type.String()) }),
  bodyRequired: false,
  reply: Type.Object({ event_id: Type.Optional(EventId) }),
  errors: {},
})
