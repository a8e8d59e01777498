/** Rows of delayed events, and what they look like to their owners. Spec: MSC4140 §Getting delayed events. */
import type { JsonObject } from '../protocol/pdu.ts'
import { collection, orderKey } from '../store/index.ts'

export type DelayedEventRow = {
  readonly delayId: string
  readonly userId: string
  readonly deviceId: string | null
  readonly roomId: string
  readonly type: string
  readonly stateKey: string | null
  /** JSON. */
  readonly content: string
  readonly delayMs: number
  /** When the delay began: at the request, or at the last restart. */
  readonly scheduledTs: number
  /** `origin_server_ts` where an application service chose it. */
  readonly createdTs: number | null
  /** The request, as its repetition names it; `null` where it has no transaction ID. */
  readonly txn: string | null
  /** `null` once it is finalised. */
  readonly dueTs: number | null
  /** Sorts a user's scheduled ones by when they are due, finalised ones by when they became that. */
  readonly scheduled: string | null
  readonly finalised: string | null
  readonly finalisedTs: number | null
  /** `slotOf` while it is scheduled, if it is to set state. */
  readonly slot: string | null
  /** What it became, if it was sent. */
  readonly eventId: string | null
  /** JSON of the standard error response, if it could not be sent. */
  readonly error: string | null
}

export const delayedEvents = collection<DelayedEventRow>({
  name: 'delayed-events',
  place: 'home',
  key: 'delayId',
  indexes: ['dueTs', 'scheduled', 'finalised', 'finalisedTs', 'slot', 'txn'],
})

export const slotOf = (roomId: string, type: string, stateKey: string): string =>
  [roomId, type, stateKey].join('\u0000')

/** A row that is to be sent at `scheduledTs + delayMs`. */
export function scheduledRow(
  row: Omit<DelayedEventRow, 'dueTs' | 'scheduled' | 'finalised' | 'finalisedTs' | 'slot' | 'eventId' | 'error'>,
): DelayedEventRow {
  const dueTs = row.scheduledTs + row.delayMs
  return {
    ...row,
    dueTs,
    scheduled: orderKey(row.userId, dueTs),
    finalised: null,
    finalisedTs: null,
    slot: row.stateKey === null ? null : slotOf(row.roomId, row.type, row.stateKey),
    eventId: null,
    error: null,
  }
}

/** The row when nothing more will come of it. */
export function finalisedRow(
  row: DelayedEventRow,
  outcome: { readonly ts: number; readonly eventId?: string; readonly error?: object },
): DelayedEventRow {
  return {
    ...row,
    dueTs: null,
    scheduled: null,
    slot: null,
    finalised: orderKey(row.userId, outcome.ts),
    finalisedTs: outcome.ts,
    eventId: outcome.eventId ?? null,
    error: outcome.error ? JSON.stringify(outcome.error) : null,
  }
}

export interface DelayedEvent {
  readonly delay_id: string
  readonly room_id: string
  readonly type: string
  readonly state_key?: string
  readonly delay_ms: number
  readonly scheduled_at: number
  readonly content: JsonObject
  readonly error?: JsonObject
  readonly event_id?: string
  readonly finalised_ts?: number
}

export function delayedEventOf(row: DelayedEventRow): DelayedEvent {
  return {
    delay_id: row.delayId,
    room_id: row.roomId,
    type: row.type,
    ...(row.stateKey !== null && { state_key: row.stateKey }),
    delay_ms: row.delayMs,
    scheduled_at: row.scheduledTs,
    content: JSON.parse(row.content) as JsonObject,
    ...(row.error !== null && { error: JSON.parse(row.error) as JsonObject }),
    ...(row.eventId !== null && { event_id: row.eventId }),
    ...(row.finalisedTs !== null && { finalised_ts: row.finalisedTs }),
  }
}
