/** Telling those who run the server of what is wrong. Spec: data/api/client-server/report_content.yaml. */
import { Type } from 'typebox'
import { EventId, RoomId, UserId } from '../../matrix/schemas.ts'
import { endpoint } from '../endpoint.ts'

const none = Type.Object({})
const common = { method: 'POST', auth: 'accessToken', query: none, reply: none } as const

export const reportRoom = endpoint({
  ...common,
  operationId: 'reportRoom',
  url: '/_matrix/client/v3/rooms/{roomId}/report',
  rateLimited: true,
  path: Type.Object({ roomId: RoomId }),
  body: Type.Object({ reason: Type.String() }),
  errors: { M_NOT_FOUND: 404 },
})

export const reportEvent = endpoint({
  ...common,
  operationId: 'reportEvent',
  url: '/_matrix/client/v3/rooms/{roomId}/report/{eventId}',
  rateLimited: false,
  path: Type.Object({ roomId: RoomId, eventId: EventId }),
  body: Type.Object({ reason: Type.Optional(Type.String()) }),
  errors: { M_NOT_FOUND: 404 },
})

export const reportUser = endpoint({
  ...common,
  operationId: 'reportUser',
  url: '/_matrix/client/v3/users/{userId}/report',
  rateLimited: true,
  path: Type.Object({ userId: UserId }),
  body: Type.Object({ reason: Type.String() }),
  errors: { M_NOT_FOUND: 404 },
})
