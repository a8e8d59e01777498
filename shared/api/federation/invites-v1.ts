import { Type } from 'typebox'
import { AnyObject } from '../../matrix/json.ts'
import { EventId, RoomId } from '../../matrix/schemas.ts'
import { endpoint } from '../endpoint.ts'

/** An invite to a room of version 1 or 2, for our signature. Spec: data/api/server-server/invites-v1.yaml. */
export const sendInviteV1 = endpoint({
  operationId: 'sendInviteV1',
  method: 'PUT',
  url: '/_matrix/federation/v1/invite/{roomId}/{eventId}',
  auth: 'signedRequest',
  rateLimited: false,
  path: Type.Object({ roomId: RoomId, eventId: EventId }),
  query: Type.Object({}),
  body: AnyObject,
  /** `[200, { event }]` */
  reply: Type.Array(Type.Union([Type.Integer(), Type.Object({ event: AnyObject })])),
  errors: { M_INVALID_PARAM: 400, M_FORBIDDEN: 403, M_INVITE_BLOCKED: 403 },
})
