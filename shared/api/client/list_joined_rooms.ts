import { Type } from 'typebox'
import { RoomId } from '../../matrix/schemas.ts'
import { endpoint } from '../endpoint.ts'

/** The rooms that the user is joined to. Spec: data/api/client-server/list_joined_rooms.yaml. */
export const getJoinedRooms = endpoint({
  operationId: 'getJoinedRooms',
  method: 'GET',
  url: '/_matrix/client/v3/joined_rooms',
  auth: 'accessToken',
  rateLimited: false,
  path: Type.Object({}),
  query: Type.Object({}),
  body: null,
  reply: Type.Object({ joined_rooms: Type.Array(RoomId) }),
  errors: {},
})
