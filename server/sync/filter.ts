/**
 * Filters of clients: checked, and made ready for use. Spec: client-server-api §Filtering.
 */
import { createHash } from 'node:crypto'
import { Compile, type Validator } from 'typebox/compile'
import { Filter } from '../../shared/api/client/filter.ts'
import { fieldPicker } from './event-fields.ts'
import { EventMatcher } from './event-matcher.ts'

/** How many timeline events a room gets without a `limit`, and the most it gets with one. */
export const DEFAULT_TIMELINE_LIMIT = 10
export const MAX_TIMELINE_LIMIT = 200

/** A filter made ready for use. `limit` is obeyed for timelines and presence; state and account data are never cut. */
export interface SyncFilter {
  /** The same for filters that say the same; names what a client has been sent under it. */
  readonly id: string
  /** 0 to `MAX_TIMELINE_LIMIT`. */
  readonly timelineLimit: number
  readonly includeLeave: boolean
  readonly format: 'client' | 'federation'
  /** From an event's JSON text to that with the wanted fields only; undefined where all are wanted. */
  readonly pickFields: ((eventText: string) => string) | undefined
  readonly presence: EventMatcher
  readonly accountData: EventMatcher
  /** Whether the room is to be seen at all. */
  readonly passesRoom: (roomId: string) => boolean
  readonly timeline: EventMatcher
  readonly state: EventMatcher
  readonly ephemeral: EventMatcher
  readonly roomAccountData: EventMatcher
  /** Counts of unread events are wanted for each thread. */
  readonly unreadByThread: boolean
}

// Compiled at its first use.
let validator: Validator | undefined

/** Whether the value is a filter: every field that the specification names is of its kind. */
export function isFilter(value: unknown): value is Filter {
  validator ??= Compile(Filter)
  return validator.Check(value)
}

export function compileFilter(filter: Filter): SyncFilter {
  const { room = {}, event_fields: fields } = filter
  const rooms = new EventMatcher({
    ...(room.rooms && { rooms: room.rooms }),
    ...(room.not_rooms && { not_rooms: room.not_rooms }),
  })
  const timeline = new EventMatcher(room.timeline)
  return {
    id: filterHash(filter),
    timelineLimit: Math.min(timeline.limit ?? DEFAULT_TIMELINE_LIMIT, MAX_TIMELINE_LIMIT),
    includeLeave: room.include_leave === true,
    format: filter.event_format ?? 'client',
    pickFields: fields && fieldPicker(fields),
    presence: new EventMatcher(filter.presence),
    accountData: new EventMatcher(filter.account_data),
    passesRoom: (roomId) => rooms.passesRoom(roomId),
    timeline,
    state: new EventMatcher(room.state),
    ephemeral: new EventMatcher(room.ephemeral),
    roomAccountData: new EventMatcher(room.account_data),
    unreadByThread: timeline.unreadThreadNotifications,
  }
}

/** 22 characters of base64url, never beginning with `{`. */
export function filterHash(filter: Filter): string {
  return createHash('sha256').update(JSON.stringify(filter)).digest('base64url').slice(0, 22)
}

/** What holds without a filter. */
export const NO_FILTER: SyncFilter = compileFilter({})
