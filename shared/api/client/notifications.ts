/** What a user has been notified of. Spec: data/api/client-server/notifications.yaml. */
import { Type } from 'typebox'
import { AnyObject } from '../../matrix/json.ts'
import { RoomId } from '../../matrix/schemas.ts'
import { endpoint } from '../endpoint.ts'

const Notification = Type.Object({
  actions: Type.Array(Type.Union([Type.String(), AnyObject])),
  event: AnyObject,
  profile_tag: Type.Optional(Type.String()),
  read: Type.Boolean(),
  room_id: RoomId,
  ts: Type.Integer(),
})

export const getNotifications = endpoint({
  operationId: 'getNotifications',
  method: 'GET',
  url: '/_matrix/client/v3/notifications',
  auth: 'accessToken',
  rateLimited: false,
  path: Type.Object({}),
  query: Type.Object({
    from: Type.Optional(Type.String()),
    limit: Type.Optional(Type.Integer({ minimum: 0 })),
    /** `highlight`, or nothing that means anything. */
    only: Type.Optional(Type.String()),
  }),
  body: null,
  reply: Type.Object({ next_token: Type.Optional(Type.String()), notifications: Type.Array(Notification) }),
  errors: {},
})
