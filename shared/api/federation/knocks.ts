/** Asking to be let into a room. Spec: data/api/server-server/knocks.yaml. */
import { Type } from 'typebox'
import { AnyObject } from '../../matrix/json.ts'
import { EventId, RoomId, UserId } from '../../matrix/schemas.ts'
import { endpoint } from '../endpoint.ts'

export const makeKnock = endpoint({
  operationId: 'makeKnock',
  method: 'GET',
  url: '/_matrix/federation/v1/make_knock/{roomId}/{userId}',
  auth: 'signedRequest',
  rateLimited: false,
  path: Type.Object({ roomId: RoomId, userId: UserId }),
  query: Type.Object({ ver: Type.Array(Type.String()) }),
  body: null,
  reply: Type.Object({ room_version: Type.String(), event: AnyObject }),
  errors: { M_INCOMPATIBLE_ROOM_VERSION: 400, M_FORBIDDEN: 403, M_NOT_FOUND: 404 },
})

export const sendKnock = endpoint({
  operationId: 'sendKnock',
  method: 'PUT',
  url: '/_matrix/federation/v1/send_knock/{roomId}/{eventId}',
  auth: 'signedRequest',
  rateLimited: false,
  path: Type.Object({ roomId: RoomId, eventId: EventId }),
  query: Type.Object({}),
  body: AnyObject,
  reply: Type.Object({ knock_room_state: Type.Array(AnyObject) }),
  errors: { M_INVALID_PARAM: 400, M_FORBIDDEN: 403, M_NOT_FOUND: 404 },
})
