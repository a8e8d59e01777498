import { Type } from 'typebox'
import { AnyObject } from '../../matrix/json.ts'
import { RoomId, RoomIdOrAlias, ServerName, UserId } from '../../matrix/schemas.ts'
import { endpoint } from '../endpoint.ts'

const body = Type.Object({
  third_party_signed: Type.Optional(
    Type.Object({
      sender: UserId,
      mxid: UserId,
      token: Type.String(),
      signatures: AnyObject,
    }),
  ),
  reason: Type.Optional(Type.String()),
})
const reply = Type.Object({ room_id: RoomId })

/** Joining a room by its ID. Spec: data/api/client-server/joining.yaml. */
export const joinRoomById = endpoint({
  operationId: 'joinRoomById',
  method: 'POST',
  url: '/_matrix/client/v3/rooms/{roomId}/join',
  auth: 'accessToken',
  rateLimited: true,
  path: Type.Object({ roomId: RoomId }),
  query: Type.Object({}),
  body,
  // Clients in use send none.
  bodyRequired: false,
  reply,
  errors: { M_FORBIDDEN: 403 },
})

/** Joining a room by its ID or an alias. Spec: data/api/client-server/joining.yaml. */
export const joinRoom = endpoint({
  operationId: 'joinRoom',
  method: 'POST',
  url: '/_matrix/client/v3/join/{roomIdOrAlias}',
  auth: 'accessToken',
  rateLimited: true,
  path: Type.Object({ roomIdOrAlias: RoomIdOrAlias }),
  query: Type.Object({
    via: Type.Optional(Type.Array(ServerName)),
    // What `via` was called before version 1.12 of the specification.
    server_name: Type.Optional(Type.Array(ServerName)),
  }),
  body,
  bodyRequired: false,
  reply,
  errors: { M_FORBIDDEN: 403 },
})
