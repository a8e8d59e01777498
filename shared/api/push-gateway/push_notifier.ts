/** What homeservers tell a push gateway. Spec: data/api/push-gateway/push_notifier.yaml. */
import { type Static, Type } from 'typebox'
import { AnyObject } from '../../matrix/json.ts'
import { endpoint } from '../endpoint.ts'

const url = '/_matrix/push/v1/notify'

const PushDevice = Type.Object({
  app_id: Type.String(),
  pushkey: Type.String(),
  /** Seconds since the epoch. */
  pushkey_ts: Type.Optional(Type.Integer()),
  /** That of the pusher, without its `url`. */
  data: Type.Optional(AnyObject),
  tweaks: Type.Optional(AnyObject),
})
export type PushDevice = Static<typeof PushDevice>

const PushNotification = Type.Object({
  content: Type.Optional(AnyObject),
  counts: Type.Optional(
    Type.Object({ unread: Type.Optional(Type.Integer()), missed_calls: Type.Optional(Type.Integer()) }),
  ),
  devices: Type.Array(PushDevice),
  event_id: Type.Optional(Type.String()),
  prio: Type.Optional(Type.Enum(['high', 'low'])),
  room_alias: Type.Optional(Type.String()),
  room_id: Type.Optional(Type.String()),
  room_name: Type.Optional(Type.String()),
  sender: Type.Optional(Type.String()),
  sender_display_name: Type.Optional(Type.String()),
  type: Type.Optional(Type.String()),
  user_is_target: Type.Optional(Type.Boolean()),
})
export type PushNotification = Static<typeof PushNotification>

export const notify = endpoint({
  operationId: 'notify',
  method: 'POST',
  url,
  auth: 'none',
  rateLimited: false,
  path: Type.Object({}),
  query: Type.Object({}),
  body: Type.Object({ notification: PushNotification }),
  reply: Type.Object({ rejected: Type.Array(Type.String()) }),
  errors: {},
  maxBodyBytes: 262_144,
})

/** How apps find out that there is a push gateway at an address. Spec: unifiedpush.org §Matrix gateway. */
export const discoverPushGateway = endpoint({
  operationId: 'discoverPushGateway',
  method: 'GET',
  url,
  auth: 'none',
  rateLimited: false,
  path: Type.Object({}),
  query: Type.Object({}),
  body: null,
  reply: Type.Object({ unifiedpush: Type.Object({ gateway: Type.Literal('matrix') }) }),
  errors: {},
  unstable: 'unifiedpush',
})
