import { createEventIdOf } from '../event-id.ts'
import { isJsonObject } from '../json.ts'
import { allow, type IdentifiedPdu, type JsonObject, type Pdu, referencedIds, reject, type Verdict } from '../pdu.ts'
import type { RoomVersionRules } from '../room-versions.ts'
import { type RoomState, roomStateOf, type StateLookup } from './room-state.ts'

/** The part of an event, sent already or only planned, that decides which state authorizes it. */
export interface AuthSubject {
  readonly type: string
  readonly sender: string
  readonly state_key?: string | undefined
  readonly content: JsonObject
}

/** An entry of a room's state, by name. */
export interface StateEntryKey {
  readonly type: string
  readonly stateKey: string
}

/**
 * Why an event that is known was rejected: by the rules on its own `auth_events` (then it is so for everybody, for ever), or
 * by the state before it (then servers may differ, and state resolution may still take it).
 */
export type Rejection = 'byAuthEvents' | 'byState'

/** An event as lookups of this folder give it. */
export interface KnownEvent extends IdentifiedPdu {
  readonly rejected?: Rejection | undefined
}
export type EventLookup = (eventId: string) => KnownEvent | undefined

/**
 * Which state entries belong into the event's `auth_events`, as far as the room has them; none twice.
 * Spec: server-server-api §Auth events selection.
 */
export function authEventKeys(event: AuthSubject, rules: RoomVersionRules): readonly StateEntryKey[] {
  if (event.type === 'm.room.create') return []
  const keys: StateEntryKey[] = []
  const add = (type: string, stateKey: string): void => {
    if (!keys.some((key) => key.type === type && key.stateKey === stateKey)) keys.push({ type, stateKey })
  }
  if (!rules.roomIdIsCreateHash) add('m.room.create', '')
  add('m.room.power_levels', '')
  add('m.room.member', event.sender)
  if (event.type === 'm.room.member') addMemberKeys(event, rules, add)
  return keys
}

function addMemberKeys(
  event: AuthSubject,
  rules: RoomVersionRules,
  add: (type: string, stateKey: string) => void,
): void {
  if (event.state_key !== undefined) add('m.room.member', event.state_key)
  const { membership, third_party_invite: thirdPartyInvite } = event.content
  if (membership === 'join' || membership === 'invite' || membership === 'knock') add('m.room.join_rules', '')
  if (membership === 'invite' && isJsonObject(thirdPartyInvite) && isJsonObject(thirdPartyInvite.signed)) {
    const { token } = thirdPartyInvite.signed
    if (typeof token === 'string') add('m.room.third_party_invite', token)
  }
  const { join_authorised_via_users_server: authorisingUser } = event.content
  if (rules.restrictedJoins && membership === 'join' && typeof authorisingUser === 'string') {
    add('m.room.member', authorisingUser)
  }
}

/** The events that a new event must name in its `auth_events`, out of the room's state before it. */
export function selectAuthEvents(
  event: AuthSubject,
  find: StateLookup,
  rules: RoomVersionRules,
): readonly IdentifiedPdu[] {
  const selected: IdentifiedPdu[] = []
  for (const { type, stateKey } of authEventKeys(event, rules)) {
    const found = find(type, stateKey)
    if (found) selected.push(found)
  }
  return selected
}

/**
 * Rule 2 (2 and 3 in version 12): whether the event's `auth_events`, and from version 12 on its `room_id`, are such as may
 * authorize it. Says nothing of what they authorize: that is `checkAuth` with `stateOfAuthEvents`.
 * Spec: rooms/v1 and v12 §Authorization rules.
 *
 * @param eventById must know every auth event, and from version 12 on the create event, rejected ones too: gather first, for
 *   an event that is missing here gets the event rejected for good
 */
export function checkAuthEvents(event: Pdu, eventById: EventLookup, rules: RoomVersionRules): Verdict {
  // 1.5: a create event is not judged by others
  if (event.type === 'm.room.create') return allow
  // 2 of version 12
  if (rules.roomIdIsCreateHash) {
    const create = createEventOf(event, eventById)
    if (!create || create.rejected) return reject('room_id is not the ID of an accepted create event')
  }
  // 3 of version 12, 2 before
  const expected = authEventKeys(event, rules)
  const seen = new Set<StateEntryKey>()
  for (const eventId of referencedIds(event.auth_events)) {
    const authEvent = eventById(eventId)
    if (!authEvent) return reject(`auth_events names ${eventId}, which is not known`)
    const { pdu } = authEvent
    const key = expected.find(({ type, stateKey }) => pdu.type === type && pdu.state_key === stateKey)
    // 3.2
    if (!key) return reject(`auth_events names ${eventId}, which does not belong to the selection for this event`)
    // 3.1
    if (seen.has(key)) return reject(`auth_events has two entries for ${key.type} with the same state_key`)
    seen.add(key)
    // 3.3
    if (authEvent.rejected) return reject(`auth_events names ${eventId}, which was rejected`)
    // 3.5
    if (pdu.room_id !== event.room_id) return reject(`auth_events names ${eventId}, which has another room_id`)
  }
  // 2.4, up to version 11
  if (!rules.roomIdIsCreateHash && ![...seen].some(({ type }) => type === 'm.room.create')) {
    return reject('auth_events has no create event')
  }
  return allow
}

/**
 * The state that an event's `auth_events` make up, for judging the event by them alone (step 4 of the checks on receipt).
 * From version 12 on the create event belongs to it through `room_id`.
 */
export function stateOfAuthEvents(event: Pdu, eventById: EventLookup, rules: RoomVersionRules): RoomState {
  const events = referencedIds(event.auth_events).map(eventById)
  if (rules.roomIdIsCreateHash) events.push(createEventOf(event, eventById))
  const find: StateLookup = (type, stateKey) =>
    events.find((known) => known?.pdu.type === type && known.pdu.state_key === stateKey)
  return roomStateOf(find, rules)
}

/** The create event whose hash is the room's ID. Spec: rooms/v12 §Authorization rules, 1.2 and 2. */
export function createEventOf(event: Pdu, eventById: EventLookup): KnownEvent | undefined {
  const create = event.room_id === undefined ? undefined : eventById(createEventIdOf(event.room_id))
  return create?.pdu.type === 'm.room.create' ? create : undefined
}
