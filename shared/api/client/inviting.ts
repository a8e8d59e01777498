import { Type } from 'typebox'
import { RoomId, UserId } from '../../matrix/schemas.ts'
import { endpoint } from '../endpoint.ts'

/**
 * Inviting a user, by their ID or, which this server does not do, by an address of theirs.
 * Spec: data/api/client-server/inviting.yaml, third_party_membership.yaml.
 */
export const inviteUser = endpoint({
  operationId: 'inviteUser',
  method: 'POST',
  url: '/_matrix/client/v3/rooms/{roomId}/invite',
  auth: 'accessToken',
  rateLimited: true,
  path: Type.Object({ roomId: RoomId }),
  query: Type.Object({}),
  body: Type.Object({
    user_id: Type.Optional(UserId),
    reason: Type.Optional(Type.String()),
    id_server: Type.Optional(Type.String()),
    id_access_token: Type.Optional(Type.String()),
    medium: Type.Optional(Type.String()),
    address: Type.Optional(Type.String()),
  }),
  reply: Type.Object({}),
  errors: { M_UNSUPPORTED_ROOM_VERSION: 400, M_FORBIDDEN: 403, M_INVITE_BLOCKED: 403, M_THREEPID_DENIED: 403 },
})
