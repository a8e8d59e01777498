import { Type } from 'typebox'
import { EventId, RoomId } from '../../matrix/schemas.ts'
import { endpoint } from '../endpoint.ts'
import { ClientEvent } from './client-event.ts'

/** What came before and after an event. Spec: data/api/client-server/event_context.yaml. */
export const getEventContext = endpoint({
  operationId: 'getEventContext',
  method: 'GET',
  url: '/_matrix/client/v3/rooms/{roomId}/context/{eventId}',
  auth: 'accessToken',
  rateLimited: false,
  path: Type.Object({ roomId: RoomId, eventId: EventId }),
  query: Type.Object({
    limit: Type.Optional(Type.Integer({ minimum: 0 })),
    /** JSON of a `RoomEventFilter`. */
    filter: Type.Optional(Type.String()),
  }),
  body: null,
  reply: Type.Object({
    start: Type.Optional(Type.String()),
    end: Type.Optional(Type.String()),
    event: Type.Optional(ClientEvent),
    events_before: Type.Optional(Type.Array(ClientEvent)),
    events_after: Type.Optional(Type.Array(ClientEvent)),
    state: Type.Optional(Type.Array(ClientEvent)),
  }),
  errors: {},
})
