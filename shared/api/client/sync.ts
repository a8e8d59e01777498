import { Type } from 'typebox'
import { endpoint } from '../endpoint.ts'

const Events = Type.Object({ events: Type.Array(Type.Unknown()) })
const UnreadCounts = Type.Object({
  highlight_count: Type.Optional(Type.Integer()),
  notification_count: Type.Optional(Type.Integer()),
})
const Timeline = Type.Object({
  events: Type.Array(Type.Unknown()),
  limited: Type.Optional(Type.Boolean()),
  prev_batch: Type.Optional(Type.String()),
})
const JoinedRoom = Type.Object({
  summary: Type.Optional(
    Type.Object({
      'm.heroes': Type.Optional(Type.Array(Type.String())),
      'm.joined_member_count': Type.Optional(Type.Integer()),
      'm.invited_member_count': Type.Optional(Type.Integer()),
    }),
  ),
  state: Type.Optional(Events),
  state_after: Type.Optional(Events),
  timeline: Type.Optional(Timeline),
  ephemeral: Type.Optional(Events),
  account_data: Type.Optional(Events),
  unread_notifications: Type.Optional(UnreadCounts),
  unread_thread_notifications: Type.Optional(Type.Record(Type.String(), UnreadCounts)),
})
const LeftRoom = Type.Object({
  state: Type.Optional(Events),
  state_after: Type.Optional(Events),
  timeline: Type.Optional(Timeline),
  account_data: Type.Optional(Events),
})

/** What is new for a client since it last asked. Spec: data/api/client-server/sync.yaml. */
export const sync = endpoint({
  operationId: 'sync',
  method: 'GET',
  url: '/_matrix/client/v3/sync',
  auth: 'accessToken',
  rateLimited: false,
  path: Type.Object({}),
  query: Type.Object({
    filter: Type.Optional(Type.String()),
    since: Type.Optional(Type.String()),
    full_state: Type.Optional(Type.Boolean()),
    set_presence: Type.Optional(
      Type.Union([Type.Literal('offline'), Type.Literal('online'), Type.Literal('unavailable')]),
    ),
    /** Milliseconds. */
    timeout: Type.Optional(Type.Integer()),
    use_state_after: Type.Optional(Type.Boolean()),
  }),
  body: null,
  reply: Type.Object({
    next_batch: Type.String(),
    rooms: Type.Optional(
      Type.Object({
        join: Type.Optional(Type.Record(Type.String(), JoinedRoom)),
        invite: Type.Optional(Type.Record(Type.String(), Type.Object({ invite_state: Type.Optional(Events) }))),
        knock: Type.Optional(Type.Record(Type.String(), Type.Object({ knock_state: Type.Optional(Events) }))),
        leave: Type.Optional(Type.Record(Type.String(), LeftRoom)),
      }),
    ),
    presence: Type.Optional(Events),
    account_data: Type.Optional(Events),
    to_device: Type.Optional(Events),
    device_lists: Type.Optional(
      Type.Object({
        changed: Type.Optional(Type.Array(Type.String())),
        left: Type.Optional(Type.Array(Type.String())),
      }),
    ),
    device_one_time_keys_count: Type.Optional(Type.Record(Type.String(), Type.Integer())),
    device_unused_fallback_key_types: Type.Optional(Type.Array(Type.String())),
  }),
  errors: {},
})
