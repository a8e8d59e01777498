import { Type } from 'typebox'
import { EventId, RoomId } from '../../matrix/schemas.ts'
import { endpoint } from '../endpoint.ts'

/** The event nearest to a time. Spec: data/api/client-server/room_event_by_timestamp.yaml. */
export const getEventByTimestamp = endpoint({
  operationId: 'getEventByTimestamp',
  method: 'GET',
  url: '/_matrix/client/v1/rooms/{roomId}/timestamp_to_event',
  auth: 'accessToken',
  rateLimited: true,
  path: Type.Object({ roomId: RoomId }),
  query: Type.Object({ ts: Type.Integer(), dir: Type.Enum(['f', 'b']) }),
  body: null,
  reply: Type.Object({ event_id: EventId, origin_server_ts: Type.Integer() }),
  errors: { M_FORBIDDEN: 403, M_NOT_FOUND: 404 },
})
