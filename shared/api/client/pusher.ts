/** Where a user's notifications are sent to. Spec: data/api/client-server/pusher.yaml. */
import { Type } from 'typebox'
import { AnyObject, type JsonObject } from '../../matrix/json.ts'
import { endpoint } from '../endpoint.ts'

/** A pusher as clients see it. */
const Pusher = Type.Object({
  app_display_name: Type.String(),
  app_id: Type.String(),
  data: AnyObject,
  device_display_name: Type.String(),
  kind: Type.String(),
  lang: Type.String(),
  profile_tag: Type.Optional(Type.String()),
  pushkey: Type.String(),
})

export const getPushers = endpoint({
  operationId: 'getPushers',
  method: 'GET',
  url: '/_matrix/client/v3/pushers',
  auth: 'accessToken',
  rateLimited: false,
  path: Type.Object({}),
  query: Type.Object({}),
  body: null,
  reply: Type.Object({ pushers: Type.Array(Pusher) }),
  errors: {},
})

export const postPusher = endpoint({
  operationId: 'postPusher',
  method: 'POST',
  url: '/_matrix/client/v3/pushers/set',
  auth: 'accessToken',
  rateLimited: true,
  path: Type.Object({}),
  query: Type.Object({}),
  body: Type.Object({
    app_display_name: Type.Optional(Type.String()),
    app_id: Type.String(),
    append: Type.Optional(Type.Boolean()),
    data: Type.Optional(
      Type.Unsafe<JsonObject>(Type.Object({ url: Type.Optional(Type.String()), format: Type.Optional(Type.String()) })),
    ),
    device_display_name: Type.Optional(Type.String()),
    /** `null` deletes the pusher. */
    kind: Type.Union([Type.String(), Type.Null()]),
    lang: Type.Optional(Type.String()),
    profile_tag: Type.Optional(Type.String()),
    pushkey: Type.String(),
  }),
  reply: Type.Object({}),
  errors: { M_MISSING_PARAM: 400, M_INVALID_PARAM: 400 },
})
