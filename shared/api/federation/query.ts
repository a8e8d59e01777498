/** What other servers ask of aliases and profiles. Spec: data/api/server-server/query.yaml. */
import { Type } from 'typebox'
import { AnyObject } from '../../matrix/json.ts'
import { RoomAlias, UserId } from '../../matrix/schemas.ts'
import { endpoint } from '../endpoint.ts'

const none = Type.Object({})

/** For types of queries that have no endpoint of their own: none of ours. */
export const queryInfo = endpoint({
  operationId: 'queryInfo',
  method: 'GET',
  url: '/_matrix/federation/v1/query/{queryType}',
  auth: 'signedRequest',
  rateLimited: false,
  path: Type.Object({ queryType: Type.String() }),
  query: none,
  body: null,
  reply: AnyObject,
  errors: { M_NOT_FOUND: 404 },
})

export const queryRoomDirectory = endpoint({
  operationId: 'queryRoomDirectory',
  method: 'GET',
  url: '/_matrix/federation/v1/query/directory',
  auth: 'signedRequest',
  rateLimited: false,
  path: none,
  query: Type.Object({ room_alias: RoomAlias }),
  body: null,
  reply: Type.Object({ room_id: Type.String(), servers: Type.Array(Type.String()) }),
  errors: { M_NOT_FOUND: 404 },
})

export const queryProfile = endpoint({
  operationId: 'queryProfile',
  method: 'GET',
  url: '/_matrix/federation/v1/query/profile',
  auth: 'signedRequest',
  rateLimited: false,
  path: none,
  query: Type.Object({ user_id: UserId, field: Type.Optional(Type.String()) }),
  body: null,
  reply: AnyObject,
  errors: { M_FORBIDDEN: 403, M_NOT_FOUND: 404 },
})
