/** Messages of the server itself to its users: Hearth's own endpoint, for administrators. Spec: client-server-api §Server Notices. */
import { Type } from 'typebox'
import { EventId, RoomId, UserId } from '../../matrix/schemas.ts'
import { endpoint } from '../endpoint.ts'

export const sendServerNotice = endpoint({
  operationId: 'sendServerNotice',
  method: 'POST',
  url: '/_hearth/client/v1/server_notices',
  auth: 'accessToken',
  rateLimited: true,
  path: Type.Object({}),
  query: Type.Object({}),
  body: Type.Object({
    user_id: UserId,
    body: Type.String({ minLength: 1, maxLength: 10_000 }),
    server_notice_type: Type.Optional(Type.String({ minLength: 1, maxLength: 255 })),
    /** A URI. Required, as `limit_type` is, where the type is `m.server_notice.usage_limit_reached`. */
    admin_contact: Type.Optional(Type.String({ maxLength: 1_000 })),
    limit_type: Type.Optional(Type.String({ maxLength: 255 })),
  }),
  reply: Type.Object({ room_id: RoomId, event_id: EventId }),
  errors: { M_MISSING_PARAM: 400, M_FORBIDDEN: 403, M_INVITE_BLOCKED: 403, M_NOT_FOUND: 404 },
  unstable: 'hearth',
})
