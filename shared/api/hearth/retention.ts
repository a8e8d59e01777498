/** For how long the home keeps messages, for administrators: Hearth's own, not in the specification. See MSC1763. */
import { Type } from 'typebox'
import { EventId, RoomId } from '../../matrix/schemas.ts'
import { endpoint } from '../endpoint.ts'

const none = Type.Object({})
const url = '/_hearth/client/v1/retention'
const unstable = 'hearth'

const Lifetime = Type.Union([Type.Integer({ minimum: 0 }), Type.Null()])
/** Milliseconds; `null` for none. */
const Settings = Type.Object({
  /** Of rooms that have no `m.room.retention`. */
  default_lifetime: Lifetime,
  /** Messages live at least this long, whatever a room says. */
  shortest_lifetime: Lifetime,
  /** Messages live this long at most, whatever a room says. */
  longest_lifetime: Lifetime,
})

export const getRetention = endpoint({
  operationId: 'getRetention',
  method: 'GET',
  url,
  auth: 'accessToken',
  rateLimited: true,
  path: none,
  query: none,
  body: null,
  reply: Settings,
  errors: { M_FORBIDDEN: 403 },
  unstable,
})

export const setRetention = endpoint({
  operationId: 'setRetention',
  method: 'PUT',
  url,
  auth: 'accessToken',
  rateLimited: true,
  path: none,
  query: none,
  body: Settings,
  reply: none,
  errors: { M_INVALID_PARAM: 400, M_FORBIDDEN: 403 },
  unstable,
})

/** Takes away all messages of a room from before an event, for everybody here and for good. */
export const purgeHistory = endpoint({
  operationId: 'purgeHistory',
  method: 'POST',
  url: '/_hearth/client/v1/rooms/{roomId}/purge_history',
  auth: 'accessToken',
  rateLimited: true,
  path: Type.Object({ roomId: RoomId }),
  query: none,
  body: Type.Object({ event_id: EventId }),
  reply: none,
  errors: { M_FORBIDDEN: 403, M_NOT_FOUND: 404 },
  unstable,
})
