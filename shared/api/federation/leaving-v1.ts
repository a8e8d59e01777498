import { Type } from 'typebox'
import { AnyObject } from '../../matrix/json.ts'
import { RoomId, UserId } from '../../matrix/schemas.ts'
import { endpoint } from '../endpoint.ts'

/** The template of a leave. Spec: data/api/server-server/leaving-v1.yaml. */
export const makeLeave = endpoint({
  operationId: 'makeLeave',
  method: 'GET',
  url: '/_matrix/federation/v1/make_leave/{roomId}/{userId}',
  auth: 'signedRequest',
  rateLimited: false,
  path: Type.Object({ roomId: RoomId, userId: UserId }),
  query: Type.Object({}),
  body: null,
  reply: Type.Object({ room_version: Type.Optional(Type.String()), event: Type.Optional(AnyObject) }),
  errors: { M_FORBIDDEN: 403 },
})
