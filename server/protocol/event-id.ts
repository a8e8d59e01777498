/** Event IDs, and room IDs that are made from them. Spec: rooms/v1, v3, v4, v12 §Event IDs, §Room IDs. */
import { sha256Base64, sha256Base64Url, signedText } from './hashes.ts'
import type { IdentifiedPdu, Pdu } from './pdu.ts'
import type { RoomVersionRules } from './room-versions.ts'

/**
 * The event's ID: what it says itself in room versions 1 and 2, its reference hash from 3 on.
 *
 * @param text the event's `signedText`, where the caller has it already
 * @throws CanonicalJsonError if the event has no canonical form in its room version
 * @throws TypeError if the room version needs an `event_id` and there is none; callers check the format first
 */
export function eventIdOf(event: Pdu, rules: RoomVersionRules, text?: string): string {
  switch (rules.eventIds) {
    case 'inEvent':
      if (event.event_id === undefined) throw new TypeError(`an event of room version ${rules.version} has no event_id`)
      return event.event_id
    case 'hash':
      return `$${sha256Base64(text ?? signedText(event, rules))}`
    case 'hashUrlSafe':
      return `$${sha256Base64Url(text ?? signedText(event, rules))}`
  }
}

/** An event together with its ID; throws as `eventIdOf`. */
export function identify(event: Pdu, rules: RoomVersionRules): IdentifiedPdu {
  return { eventId: eventIdOf(event, rules), pdu: event }
}

/** The ID of the room that a create event of version 12 or later makes: the event's ID with `!` for `$`. */
export function roomIdOfCreate(createEventId: string): string {
  return `!${createEventId.slice(1)}`
}

/** The other way round: the ID of the create event of a room of version 12 or later. */
export function createEventIdOf(roomId: string): string {
  return `$${roomId.slice(1)}`
}

/**
 * The room that an event belongs to: its `room_id`, or what follows from its ID for a create event of version 12 and later.
 * @throws TypeError for another event without `room_id`; callers check the format first
 */
export function roomIdOf({ eventId, pdu }: IdentifiedPdu, rules: RoomVersionRules): string {
  if (pdu.room_id !== undefined) return pdu.room_id
  if (rules.roomIdIsCreateHash && pdu.type === 'm.room.create') return roomIdOfCreate(eventId)
  throw new TypeError('the event has no room_id')
}
