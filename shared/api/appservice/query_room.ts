/** Whether a room alias should exist. Spec: data/api/application-service/query_room.yaml. */
import { Type } from 'typebox'
import { RoomAlias } from '../../matrix/schemas.ts'
import { endpoint } from '../endpoint.ts'

export const queryRoomByAlias = endpoint({
  operationId: 'queryRoomByAlias',
  method: 'GET',
  url: '/_matrix/app/v1/rooms/{roomAlias}',
  aliases: ['/rooms/{roomAlias}'],
  auth: 'homeserverAccessToken',
  rateLimited: false,
  path: Type.Object({ roomAlias: RoomAlias }),
  query: Type.Object({}),
  body: null,
  reply: Type.Object({}),
  errors: { M_FORBIDDEN: 403, M_NOT_FOUND: 404 },
})
