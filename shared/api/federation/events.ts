/** Events, and the state of rooms, for servers that are in them. Spec: data/api/server-server/events.yaml. */
import { Type } from 'typebox'
import { AnyObject } from '../../matrix/json.ts'
import { EventId, RoomId } from '../../matrix/schemas.ts'
import { endpoint } from '../endpoint.ts'

const errors = { M_FORBIDDEN: 403, M_NOT_FOUND: 404 }
const room = Type.Object({ roomId: RoomId })

export const getRoomState = endpoint({
  operationId: 'getRoomState',
  method: 'GET',
  url: '/_matrix/federation/v1/state/{roomId}',
  auth: 'signedRequest',
  rateLimited: false,
  path: room,
  query: Type.Object({ event_id: EventId }),
  body: null,
  reply: Type.Object({ auth_chain: Type.Array(AnyObject), pdus: Type.Array(AnyObject) }),
  errors,
})

export const getRoomStateIds = endpoint({
  operationId: 'getRoomStateIds',
  method: 'GET',
  url: '/_matrix/federation/v1/state_ids/{roomId}',
  auth: 'signedRequest',
  rateLimited: false,
  path: room,
  query: Type.Object({ event_id: EventId }),
  body: null,
  reply: Type.Object({ auth_chain_ids: Type.Array(Type.String()), pdu_ids: Type.Array(Type.String()) }),
  errors,
})

export const getEvent = endpoint({
  operationId: 'getEvent',
  method: 'GET',
  url: '/_matrix/federation/v1/event/{eventId}',
  auth: 'signedRequest',
  rateLimited: false,
  path: Type.Object({ eventId: EventId }),
  query: Type.Object({}),
  body: null,
  /** `pdus` holds the one event. */
  reply: Type.Object({ origin: Type.String(), origin_server_ts: Type.Integer(), pdus: Type.Array(AnyObject) }),
  errors,
})

export const getEventByTimestamp = endpoint({
  operationId: 'getEventByTimestamp',
  method: 'GET',
  url: '/_matrix/federation/v1/timestamp_to_event/{roomId}',
  auth: 'signedRequest',
  rateLimited: false,
  path: room,
  query: Type.Object({ ts: Type.Integer(), dir: Type.Enum(['f', 'b']) }),
  body: null,
  reply: Type.Object({ event_id: Type.String(), origin_server_ts: Type.Integer() }),
  errors,
})
