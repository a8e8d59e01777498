/** Room aliases. Spec: data/api/client-server/directory.yaml. */
import { Type } from 'typebox'
import { RoomAlias, RoomId, ServerName } from '../../matrix/schemas.ts'
import { endpoint } from '../endpoint.ts'

const url = '/_matrix/client/v3/directory/room/{roomAlias}'
const path = Type.Object({ roomAlias: RoomAlias })
const none = Type.Object({})

export const setRoomAlias = endpoint({
  operationId: 'setRoomAlias',
  method: 'PUT',
  url,
  auth: 'accessToken',
  rateLimited: false,
  path,
  query: none,
  body: Type.Object({ room_id: RoomId }),
  reply: none,
  errors: { M_INVALID_PARAM: 400, M_ROOM_IN_USE: 409 },
})

export const getRoomIdByAlias = endpoint({
  operationId: 'getRoomIdByAlias',
  method: 'GET',
  url,
  auth: 'none',
  rateLimited: false,
  path,
  query: none,
  body: null,
  reply: Type.Object({ room_id: Type.Optional(RoomId), servers: Type.Optional(Type.Array(ServerName)) }),
  errors: { M_INVALID_PARAM: 400, M_NOT_FOUND: 404 },
})

export const deleteRoomAlias = endpoint({
  operationId: 'deleteRoomAlias',
  method: 'DELETE',
  url,
  auth: 'accessToken',
  rateLimited: false,
  path,
  query: none,
  body: null,
  reply: none,
  errors: { M_NOT_FOUND: 404 },
})

export const getLocalAliases = endpoint({
  operationId: 'getLocalAliases',
  method: 'GET',
  url: '/_matrix/client/v3/rooms/{roomId}/aliases',
  auth: 'accessToken',
  rateLimited: true,
  path: Type.Object({ roomId: RoomId }),
  query: none,
  body: null,
  reply: Type.Object({ aliases: Type.Array(RoomAlias) }),
  errors: { M_INVALID_PARAM: 400, M_FORBIDDEN: 403 },
})
