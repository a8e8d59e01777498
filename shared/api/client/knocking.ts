import { Type } from 'typebox'
import { RoomId, RoomIdOrAlias, ServerName } from '../../matrix/schemas.ts'
import { endpoint } from '../endpoint.ts'

/** Asking to be let into a room. Spec: data/api/client-server/knocking.yaml. */
export const knockRoom = endpoint({
  operationId: 'knockRoom',
  method: 'POST',
  url: '/_matrix/client/v3/knock/{roomIdOrAlias}',
  auth: 'accessToken',
  rateLimited: true,
  path: Type.Object({ roomIdOrAlias: RoomIdOrAlias }),
  query: Type.Object({
    via: Type.Optional(Type.Array(ServerName)),
    // What `via` was called before version 1.12 of the specification.
    server_name: Type.Optional(Type.Array(ServerName)),
  }),
  body: Type.Object({ reason: Type.Optional(Type.String()) }),
  bodyRequired: false,
  reply: Type.Object({ room_id: RoomId }),
  errors: { M_FORBIDDEN: 403, M_NOT_FOUND: 404 },
})
