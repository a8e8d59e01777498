import { Type } from 'typebox'
import { AnyObject } from '../../matrix/json.ts'
import { EventId, RoomId } from '../../matrix/schemas.ts'
import { endpoint } from '../endpoint.ts'

/** A signed join, answered with the room's state before it. Spec: data/api/server-server/joins-v2.yaml. */
export const sendJoinV2 = endpoint({
  operationId: 'sendJoinV2',
  method: 'PUT',
  url: '/_matrix/federation/v2/send_join/{roomId}/{eventId}',
  auth: 'signedRequest',
  rateLimited: false,
  path: Type.Object({ roomId: RoomId, eventId: EventId }),
  query: Type.Object({ omit_members: Type.Optional(Type.Boolean()) }),
  body: AnyObject,
  reply: Type.Object({
    members_omitted: Type.Optional(Type.Boolean()),
    auth_chain: Type.Array(AnyObject),
    state: Type.Array(AnyObject),
    event: Type.Optional(AnyObject),
    servers_in_room: Type.Optional(Type.Array(Type.String())),
  }),
  errors: {
    M_INVALID_PARAM: 400,
    M_UNABLE_TO_AUTHORISE_JOIN: 400,
    M_UNABLE_TO_GRANT_JOIN: 400,
    M_FORBIDDEN: 403,
    M_NOT_FOUND: 404,
  },
})
