import type { EventLookup, KnownEvent } from '../auth-rules/index.ts'
import { createEventIdOf } from '../event-id.ts'
import { referencedIds } from '../pdu.ts'
import { stateMapKey } from './state-map.ts'

/** A state event as the algorithms handle it. */
export interface StateEvent extends KnownEvent {
  readonly key: string
  /** Each once. */
  readonly authEvents: readonly string[]
}

/**
 * The room's state events, each looked up at most once in a resolution. What is not known, is of another room or is no state
 * event takes no part in it; `missing` tells which were not known.
 */
export interface KnownEvents {
  find(eventId: string): StateEvent | undefined
  /** The event's auth event of a type and state key, if it is known. */
  findAuthEvent(event: StateEvent, type: string, stateKey: string): StateEvent | undefined
  /** The room's create event by the room's ID, in room versions where that is its hash. */
  readonly impliedCreate: StateEvent | undefined
  readonly missing: ReadonlySet<string>
}

/** @param createIsImplied whether the room's ID is the create event's hash, `rules.roomIdIsCreateHash` */
export function knownEvents(roomId: string, eventById: EventLookup, createIsImplied: boolean): KnownEvents {
  const events = new Map<string, StateEvent | undefined>()
  const missing = new Set<string>()

  const load = (eventId: string): StateEvent | undefined => {
    const known = eventById(eventId)
    if (!known) {
      missing.add(eventId)
      return undefined
    }
    const { pdu } = known
    const isOfRoom = pdu.room_id === roomId || (pdu.room_id === undefined && eventId === createEventIdOf(roomId))
    if (!isOfRoom || pdu.state_key === undefined) return undefined
    const authEvents = [...new Set(referencedIds(pdu.auth_events))]
    return { eventId, pdu, rejected: known.rejected, key: stateMapKey(pdu.type, pdu.state_key), authEvents }
  }

  const find = (eventId: string): StateEvent | undefined => {
    const before = events.get(eventId)
    if (before !== undefined || events.has(eventId)) return before
    const event = load(eventId)
    events.set(eventId, event)
    return event
  }

  return {
    find,
    missing,
    findAuthEvent(event, type, stateKey) {
      for (const eventId of event.authEvents) {
        const authEvent = find(eventId)
        if (authEvent?.pdu.type === type && authEvent.pdu.state_key === stateKey) return authEvent
      }
      return undefined
    },
    get impliedCreate() {
      return createIsImplied ? find(createEventIdOf(roomId)) : undefined
    },
  }
}
