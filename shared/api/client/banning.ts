import { Type } from 'typebox'
import { RoomId, UserId } from '../../matrix/schemas.ts'
import { endpoint } from '../endpoint.ts'

const act = {
  method: 'POST',
  auth: 'accessToken',
  rateLimited: false,
  path: Type.Object({ roomId: RoomId }),
  query: Type.Object({}),
  body: Type.Object({ user_id: UserId, reason: Type.Optional(Type.String()) }),
  reply: Type.Object({}),
  errors: { M_FORBIDDEN: 403 },
} as const

/** Keeping a user out of a room. Spec: data/api/client-server/banning.yaml. */
export const ban = endpoint({ ...act, operationId: 'ban', url: '/_matrix/client/v3/rooms/{roomId}/ban' })

/** Letting a banned user be invited again. Spec: data/api/client-server/banning.yaml. */
export const unban = endpoint({ ...act, operationId: 'unban', url: '/_matrix/client/v3/rooms/{roomId}/unban' })
