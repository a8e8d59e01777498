import { Type } from 'typebox'
import { AnyObject } from '../../matrix/json.ts'
import { EventId, RoomId } from '../../matrix/schemas.ts'
import { endpoint } from '../endpoint.ts'

/** An invite, for our signature. Spec: data/api/server-server/invites-v2.yaml. */
export const sendInviteV2 = endpoint({
  operationId: 'sendInviteV2',
  method: 'PUT',
  url: '/_matrix/federation/v2/invite/{roomId}/{eventId}',
  auth: 'signedRequest',
  rateLimited: false,
  path: Type.Object({ roomId: RoomId, eventId: EventId }),
  query: Type.Object({}),
  body: Type.Object({
    room_version: Type.String(),
    event: AnyObject,
    /** PDUs; old servers send stripped state. */
    invite_room_state: Type.Optional(Type.Array(AnyObject)),
  }),
  reply: Type.Object({ event: AnyObject }),
  errors: { M_INCOMPATIBLE_ROOM_VERSION: 400, M_INVALID_PARAM: 400, M_FORBIDDEN: 403, M_INVITE_BLOCKED: 403 },
})
