import { Type } from 'typebox'
import { AnyObject } from '../../matrix/json.ts'
import { RoomId, UserId } from '../../matrix/schemas.ts'
import { endpoint } from '../endpoint.ts'

/** The template of a join. Spec: data/api/server-server/joins-v1.yaml. */
export const makeJoin = endpoint({
  operationId: 'makeJoin',
  method: 'GET',
  url: '/_matrix/federation/v1/make_join/{roomId}/{userId}',
  auth: 'signedRequest',
  rateLimited: false,
  path: Type.Object({ roomId: RoomId, userId: UserId }),
  /** `ver`: room versions that the joining server knows; 1 without it. */
  query: Type.Object({ ver: Type.Optional(Type.Array(Type.String())) }),
  body: null,
  reply: Type.Object({ room_version: Type.Optional(Type.String()), event: Type.Optional(AnyObject) }),
  errors: {
    M_INCOMPATIBLE_ROOM_VERSION: 400,
    M_UNABLE_TO_AUTHORISE_JOIN: 400,
    M_UNABLE_TO_GRANT_JOIN: 400,
    M_FORBIDDEN: 403,
    M_NOT_FOUND: 404,
  },
})
