/** An event's children. Spec: data/api/client-server/relations.yaml. */
import { Type } from 'typebox'
import { EventId, RoomId } from '../../matrix/schemas.ts'
import { endpoint } from '../endpoint.ts'
import { ClientEvent } from './client-event.ts'

const url = '/_matrix/client/v1/rooms/{roomId}/relations/{eventId}'
const read = {
  method: 'GET',
  auth: 'accessToken',
  rateLimited: false,
  query: Type.Object({
    from: Type.Optional(Type.String()),
    to: Type.Optional(Type.String()),
    limit: Type.Optional(Type.Integer({ minimum: 0 })),
    dir: Type.Optional(Type.Enum(['b', 'f'])),
    recurse: Type.Optional(Type.Boolean()),
  }),
  body: null,
  reply: Type.Object({
    chunk: Type.Array(ClientEvent),
    next_batch: Type.Optional(Type.String()),
    prev_batch: Type.Optional(Type.String()),
    recursion_depth: Type.Optional(Type.Integer()),
  }),
  errors: { M_NOT_FOUND: 404 },
} as const

export const getRelatingEvents = endpoint({
  ...read,
  operationId: 'getRelatingEvents',
  url,
  path: Type.Object({ roomId: RoomId, eventId: EventId }),
})

export const getRelatingEventsWithRelType = endpoint({
  ...read,
  operationId: 'getRelatingEventsWithRelType',
  url: `${url}/{relType}`,
  path: Type.Object({ roomId: RoomId, eventId: EventId, relType: Type.String({ minLength: 1 }) }),
})

export const getRelatingEventsWithRelTypeAndEventType = endpoint({
  ...read,
  operationId: 'getRelatingEventsWithRelTypeAndEventType',
  url: `${url}/{relType}/{eventType}`,
  path: Type.Object({
    roomId: RoomId,
    eventId: EventId,
    relType: Type.String({ minLength: 1 }),
    eventType: Type.String({ minLength: 1 }),
  }),
})
