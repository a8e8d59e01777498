import { type Static, Type } from 'typebox'
import { RoomId, UserId } from '../../matrix/schemas.ts'
import { endpoint } from '../endpoint.ts'

/** Spec: data/api/client-server/definitions/event_filter.yaml. */
const eventFilterProperties = {
  limit: Type.Optional(Type.Integer({ minimum: 1 })),
  senders: Type.Optional(Type.Array(UserId)),
  not_senders: Type.Optional(Type.Array(UserId)),
  types: Type.Optional(Type.Array(Type.String())),
  not_types: Type.Optional(Type.Array(Type.String())),
}
export const EventFilter = Type.Object(eventFilterProperties)

/** Spec: data/api/client-server/definitions/room_event_filter.yaml. */
export const RoomEventFilter = Type.Object({
  ...eventFilterProperties,
  // The specification says "greater than 0"; bots in use say by 0 that they want no timeline.
  limit: Type.Optional(Type.Integer({ minimum: 0 })),
  unread_thread_notifications: Type.Optional(Type.Boolean()),
  lazy_load_members: Type.Optional(Type.Boolean()),
  include_redundant_members: Type.Optional(Type.Boolean()),
  rooms: Type.Optional(Type.Array(RoomId)),
  not_rooms: Type.Optional(Type.Array(RoomId)),
  contains_url: Type.Optional(Type.Boolean()),
})

/** Spec: data/api/client-server/definitions/sync_filter.yaml. */
export const Filter = Type.Object({
  event_fields: Type.Optional(Type.Array(Type.String())),
  event_format: Type.Optional(Type.Union([Type.Literal('client'), Type.Literal('federation')])),
  presence: Type.Optional(EventFilter),
  account_data: Type.Optional(EventFilter),
  room: Type.Optional(
    Type.Object({
      rooms: Type.Optional(Type.Array(RoomId)),
      not_rooms: Type.Optional(Type.Array(RoomId)),
      include_leave: Type.Optional(Type.Boolean()),
      ephemeral: Type.Optional(RoomEventFilter),
      state: Type.Optional(RoomEventFilter),
      timeline: Type.Optional(RoomEventFilter),
      account_data: Type.Optional(RoomEventFilter),
    }),
  ),
})

export type EventFilter = Static<typeof EventFilter>
export type RoomEventFilter = Static<typeof RoomEventFilter>
export type Filter = Static<typeof Filter>

/** Stores a filter under an ID. Spec: data/api/client-server/filter.yaml. */
export const defineFilter = endpoint({
  operationId: 'defineFilter',
  method: 'POST',
  url: '/_matrix/client/v3/user/{userId}/filter',
  auth: 'accessToken',
  rateLimited: false,
  path: Type.Object({ userId: UserId }),
  query: Type.Object({}),
  body: Filter,
  reply: Type.Object({ filter_id: Type.String() }),
  errors: {},
  maxBodyBytes: 65_536,
})

/** A stored filter. Spec: data/api/client-server/filter.yaml. */
export const getFilter = endpoint({
  operationId: 'getFilter',
  method: 'GET',
  url: '/_matrix/client/v3/user/{userId}/filter/{filterId}',
  auth: 'accessToken',
  rateLimited: false,
  path: Type.Object({ userId: UserId, filterId: Type.String() }),
  query: Type.Object({}),
  body: null,
  reply: Filter,
  errors: { M_NOT_FOUND: 404 },
})
