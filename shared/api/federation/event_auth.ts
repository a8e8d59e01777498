import { Type } from 'typebox'
import { AnyObject } from '../../matrix/json.ts'
import { EventId, RoomId } from '../../matrix/schemas.ts'
import { endpoint } from '../endpoint.ts'

/** The events that authorize one, and those that authorize them in turn. Spec: data/api/server-server/event_auth.yaml. */
export const getEventAuth = endpoint({
  operationId: 'getEventAuth',
  method: 'GET',
  url: '/_matrix/federation/v1/event_auth/{roomId}/{eventId}',
  auth: 'signedRequest',
  rateLimited: false,
  path: Type.Object({ roomId: RoomId, eventId: EventId }),
  query: Type.Object({}),
  body: null,
  reply: Type.Object({ auth_chain: Type.Array(AnyObject) }),
  errors: { M_FORBIDDEN: 403, M_NOT_FOUND: 404 },
})
