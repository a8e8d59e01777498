import { type Static, Type } from 'typebox'
import { endpoint } from '../endpoint.ts'

/**
 * Simplified sliding sync as clients in use speak it. Spec: MSC4186, with the request's form of MSC3575; it is to become
 * `/_matrix/client/v4/sync`.
 */
const PREFIX = '/_matrix/client/unstable/org.matrix.simplified_msc3575'

/** What `/versions` calls it. */
export const SLIDING_SYNC_FEATURE = 'org.matrix.simplified_msc3575'

/** Bounds of our own, far above what clients in use send: each room may have to be held against all of them. */
const MAX_REQUIRED_STATE = 500
const MAX_FILTER_ITEMS = 200
const MAX_RANGES = 20

/** `*` stands for any; `$LAZY` and `$ME` for keys of members. */
const StatePair = Type.Tuple([Type.String(), Type.String()])
/** What is left out stands for any. */
const StateElement = Type.Object({ type: Type.Optional(Type.String()), state_key: Type.Optional(Type.String()) })
const RequiredState = Type.Union([
  Type.Array(Type.Union([StatePair, StateElement]), { maxItems: MAX_REQUIRED_STATE }),
  Type.Object({
    include: Type.Optional(Type.Array(StateElement, { maxItems: MAX_REQUIRED_STATE })),
    exclude: Type.Optional(Type.Array(StateElement, { maxItems: MAX_REQUIRED_STATE })),
    lazy_members: Type.Optional(Type.Boolean()),
  }),
])
const RoomConfig = Type.Object({
  timeline_limit: Type.Integer({ minimum: 0 }),
  required_state: RequiredState,
  include_heroes: Type.Optional(Type.Union([Type.Boolean(), Type.Null()])),
})
const RoomType = Type.Union([Type.String(), Type.Null()])
const Filters = Type.Object({
  is_dm: Type.Optional(Type.Union([Type.Boolean(), Type.Null()])),
  spaces: Type.Optional(Type.Array(Type.String(), { maxItems: MAX_FILTER_ITEMS })),
  is_encrypted: Type.Optional(Type.Union([Type.Boolean(), Type.Null()])),
  is_invite: Type.Optional(Type.Union([Type.Boolean(), Type.Null()])),
  /** The newer name of `is_invite`. */
  is_invited: Type.Optional(Type.Union([Type.Boolean(), Type.Null()])),
  room_types: Type.Optional(Type.Array(RoomType, { maxItems: MAX_FILTER_ITEMS })),
  not_room_types: Type.Optional(Type.Array(RoomType, { maxItems: MAX_FILTER_ITEMS })),
  room_name_like: Type.Optional(Type.String()),
  tags: Type.Optional(Type.Array(Type.String(), { maxItems: MAX_FILTER_ITEMS })),
  not_tags: Type.Optional(Type.Array(Type.String(), { maxItems: MAX_FILTER_ITEMS })),
})
const Range = Type.Tuple([Type.Integer({ minimum: 0 }), Type.Integer({ minimum: 0 })])
const List = Type.Intersect([
  RoomConfig,
  Type.Object({
    /** First and last index, both within; without any, all rooms. */
    ranges: Type.Optional(Type.Array(Range, { maxItems: MAX_RANGES })),
    /** The newer form of `ranges`. */
    range: Type.Optional(Range),
    filters: Type.Optional(Type.Union([Filters, Type.Null()])),
  }),
])
const Enabled = Type.Optional(Type.Union([Type.Boolean(), Type.Null()]))
/** Of which rooms an extension tells: those of these lists, and these subscriptions; `*` stands for all, as does leaving it out. */
const RoomExtension = Type.Object({
  enabled: Enabled,
  lists: Type.Optional(Type.Union([Type.Array(Type.String()), Type.Null()])),
  rooms: Type.Optional(Type.Union([Type.Array(Type.String()), Type.Null()])),
})
const Extensions = Type.Object({
  to_device: Type.Optional(
    Type.Object({
      enabled: Enabled,
      since: Type.Optional(Type.Union([Type.String(), Type.Null()])),
      limit: Type.Optional(Type.Union([Type.Integer({ minimum: 1 }), Type.Null()])),
    }),
  ),
  e2ee: Type.Optional(Type.Object({ enabled: Enabled })),
  account_data: Type.Optional(RoomExtension),
  receipts: Type.Optional(RoomExtension),
  typing: Type.Optional(RoomExtension),
})

const Body = Type.Object({
  conn_id: Type.Optional(Type.String({ maxLength: 255 })),
  lists: Type.Optional(Type.Record(Type.String(), List)),
  room_subscriptions: Type.Optional(Type.Record(Type.String(), RoomConfig)),
  extensions: Type.Optional(Extensions),
})

export type SlidingSyncBody = Static<typeof Body>
export type SlidingRoomConfig = Static<typeof RoomConfig>
export type SlidingList = Static<typeof List>
export type SlidingFilters = Static<typeof Filters>
export type SlidingRoomExtension = Static<typeof RoomExtension>

const Room = Type.Object({
  initial: Type.Optional(Type.Boolean()),
  membership: Type.Optional(Type.String()),
  lists: Type.Optional(Type.Array(Type.String())),
  name: Type.Optional(Type.Union([Type.String(), Type.Null()])),
  avatar: Type.Optional(Type.Union([Type.String(), Type.Null()])),
  heroes: Type.Optional(
    Type.Array(
      Type.Object({
        user_id: Type.String(),
        displayname: Type.Optional(Type.String()),
        avatar_url: Type.Optional(Type.String()),
      }),
    ),
  ),
  is_dm: Type.Optional(Type.Boolean()),
  bump_stamp: Type.Optional(Type.Integer()),
  required_state: Type.Optional(Type.Array(Type.Unknown())),
  timeline: Type.Optional(Type.Array(Type.Unknown())),
  prev_batch: Type.Optional(Type.String()),
  limited: Type.Optional(Type.Boolean()),
  num_live: Type.Optional(Type.Integer()),
  unstable_expanded_timeline: Type.Optional(Type.Boolean()),
  joined_count: Type.Optional(Type.Integer()),
  invited_count: Type.Optional(Type.Integer()),
  notification_count: Type.Optional(Type.Integer()),
  highlight_count: Type.Optional(Type.Integer()),
  invite_state: Type.Optional(Type.Array(Type.Unknown())),
  knock_state: Type.Optional(Type.Array(Type.Unknown())),
})

/** What is new in the rooms that a client has chosen. */
export const slidingSync = endpoint({
  operationId: 'slidingSync',
  method: 'POST',
  url: `${PREFIX}/sync`,
  auth: 'accessToken',
  rateLimited: false,
  path: Type.Object({}),
  query: Type.Object({
    pos: Type.Optional(Type.String()),
    /** Milliseconds. */
    timeout: Type.Optional(Type.Integer()),
    set_presence: Type.Optional(
      Type.Union([Type.Literal('offline'), Type.Literal('online'), Type.Literal('unavailable')]),
    ),
  }),
  body: Body,
  reply: Type.Object({
    pos: Type.String(),
    lists: Type.Record(Type.String(), Type.Object({ count: Type.Integer() })),
    rooms: Type.Record(Type.String(), Room),
    extensions: Type.Object({
      to_device: Type.Optional(Type.Object({ next_batch: Type.String(), events: Type.Array(Type.Unknown()) })),
      e2ee: Type.Optional(
        Type.Object({
          device_lists: Type.Optional(
            Type.Object({ changed: Type.Array(Type.String()), left: Type.Array(Type.String()) }),
          ),
          device_one_time_keys_count: Type.Record(Type.String(), Type.Integer()),
          device_unused_fallback_key_types: Type.Array(Type.String()),
        }),
      ),
      account_data: Type.Optional(
        Type.Object({
          global: Type.Array(Type.Unknown()),
          rooms: Type.Record(Type.String(), Type.Array(Type.Unknown())),
        }),
      ),
      receipts: Type.Optional(Type.Object({ rooms: Type.Record(Type.String(), Type.Unknown()) })),
      typing: Type.Optional(Type.Object({ rooms: Type.Record(Type.String(), Type.Unknown()) })),
    }),
  }),
  errors: { M_UNKNOWN_POS: 400 },
  unstable: 'MSC4186',
})
