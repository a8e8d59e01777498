/** Rooms that an application service lists under its networks. Spec: data/api/client-server/appservice_room_directory.yaml. */
import { Type } from 'typebox'
import { RoomId } from '../../matrix/schemas.ts'
import { endpoint } from '../endpoint.ts'

export const updateAppserviceRoomDirectoryVisibility = endpoint({
  operationId: 'updateAppserviceRoomDirectoryVisibility',
  method: 'PUT',
  url: '/_matrix/client/v3/directory/list/appservice/{networkId}/{roomId}',
  auth: 'appserviceAccessToken',
  rateLimited: false,
  path: Type.Object({ networkId: Type.String({ minLength: 1, maxLength: 255 }), roomId: RoomId }),
  query: Type.Object({}),
  body: Type.Object({ visibility: Type.Enum(['public', 'private']) }),
  reply: Type.Object({}),
  errors: { M_NOT_FOUND: 404 },
})
