/** Events that are sent later. Spec: MSC4140, under its unstable prefix until a version of the specification has it. */
import { Type } from 'typebox'
import { AnyObject } from '../../matrix/json.ts'
import { RoomId } from '../../matrix/schemas.ts'
import { endpoint } from '../endpoint.ts'

const unstable = 'org.matrix.msc4140'
const url = `/_matrix/client/unstable/${unstable}`
const none = Type.Object({})
const DelayPath = Type.Object({ delayId: Type.String({ minLength: 1, maxLength: 255 }) })

const scheduled = {
  delay_id: Type.String(),
  room_id: Type.String(),
  type: Type.String(),
  state_key: Type.Optional(Type.String()),
  delay_ms: Type.Integer(),
  /** Milliseconds since the epoch: when the delay began. */
  scheduled_at: Type.Integer(),
  content: AnyObject,
}

export const scheduleDelayedEvent = endpoint({
  operationId: 'scheduleDelayedEvent',
  method: 'PUT',
  url: `${url}/rooms/{roomId}/delayed_event/{eventType}/{txnId}`,
  auth: 'accessToken',
  rateLimited: true,
  path: Type.Object({
    roomId: RoomId,
    eventType: Type.String({ minLength: 1 }),
    txnId: Type.String({ minLength: 1, maxLength: 255 }),
  }),
  query: Type.Object({ ts: Type.Optional(Type.Integer({ minimum: 0 })) }),
  body: Type.Object({
    delay_ms: Type.Integer({ minimum: 1 }),
    state_key: Type.Optional(Type.String()),
    content: AnyObject,
  }),
  reply: Type.Object({ delay_id: Type.String() }),
  errors: { M_FORBIDDEN: 403, M_TOO_LARGE: 413 },
  unstable,
})

export const manageDelayedEvent = endpoint({
  operationId: 'manageDelayedEvent',
  method: 'POST',
  url: `${url}/delayed_events/{delayId}/{action}`,
  auth: 'accessToken',
  rateLimited: true,
  path: Type.Object({ ...DelayPath.properties, action: Type.Enum(['send', 'cancel', 'restart']) }),
  query: none,
  body: none,
  bodyRequired: false,
  reply: none,
  errors: { M_NOT_FOUND: 404, M_UNKNOWN: 409 },
  unstable,
})

/** As clients of an earlier version of the proposal ask. */
export const updateDelayedEvent = endpoint({
  operationId: 'updateDelayedEvent',
  method: 'POST',
  url: `${url}/delayed_events/{delayId}`,
  auth: 'accessToken',
  rateLimited: true,
  path: DelayPath,
  query: none,
  body: Type.Object({ action: Type.Enum(['send', 'cancel', 'restart']) }),
  reply: none,
  errors: { M_NOT_FOUND: 404, M_UNKNOWN: 409 },
  unstable,
})

export const getDelayedEvent = endpoint({
  operationId: 'getDelayedEvent',
  method: 'GET',
  url: `${url}/delayed_events/{delayId}`,
  auth: 'accessToken',
  rateLimited: true,
  path: DelayPath,
  query: none,
  body: null,
  reply: Type.Object({
    ...scheduled,
    error: Type.Optional(AnyObject),
    event_id: Type.Optional(Type.String()),
    finalised_ts: Type.Optional(Type.Integer()),
  }),
  errors: { M_NOT_FOUND: 404 },
  unstable,
})

export const getDelayedEvents = endpoint({
  operationId: 'getDelayedEvents',
  method: 'GET',
  url: `${url}/delayed_events`,
  auth: 'accessToken',
  rateLimited: true,
  path: none,
  query: none,
  body: null,
  reply: Type.Object({ delayed_events: Type.Array(Type.Object(scheduled)) }),
  errors: {},
  unstable,
})
