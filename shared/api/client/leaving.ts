import { Type } from 'typebox'
import { RoomId } from '../../matrix/schemas.ts'
import { endpoint } from '../endpoint.ts'

/** Leaving a room, or turning down an invite. Spec: data/api/client-server/leaving.yaml. */
export const leaveRoom = endpoint({
  operationId: 'leaveRoom',
  method: 'POST',
  url: '/_matrix/client/v3/rooms/{roomId}/leave',
  auth: 'accessToken',
  rateLimited: true,
  path: Type.Object({ roomId: RoomId }),
  query: Type.Object({}),
  body: Type.Object({ reason: Type.Optional(Type.String()) }),
  bodyRequired: false,
  reply: Type.Object({}),
  errors: {},
})

/** Not wanting to know of a room any more. Spec: data/api/client-server/leaving.yaml. */
export const forgetRoom = endpoint({
  operationId: 'forgetRoom',
  method: 'POST',
  url: '/_matrix/client/v3/rooms/{roomId}/forget',
  auth: 'accessToken',
  rateLimited: true,
  path: Type.Object({ roomId: RoomId }),
  query: Type.Object({}),
  body: null,
  reply: Type.Object({}),
  errors: { M_UNKNOWN: 400 },
})
