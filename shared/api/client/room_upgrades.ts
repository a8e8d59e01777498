import { Type } from 'typebox'
import { RoomId } from '../../matrix/schemas.ts'
import { endpoint } from '../endpoint.ts'

/** Replacing a room by one of another version. Spec: data/api/client-server/room_upgrades.yaml. */
export const upgradeRoom = endpoint({
  operationId: 'upgradeRoom',
  method: 'POST',
  url: '/_matrix/client/v3/rooms/{roomId}/upgrade',
  auth: 'accessToken',
  rateLimited: false,
  path: Type.Object({ roomId: RoomId }),
  query: Type.Object({}),
  body: Type.Object({
    new_version: Type.String(),
    additional_creators: Type.Optional(Type.Array(Type.String())),
  }),
  reply: Type.Object({ replacement_room: Type.String() }),
  errors: { M_UNSUPPORTED_ROOM_VERSION: 400, M_FORBIDDEN: 403 },
})
