import {
  checkAuth,
  checkAuthEvents,
  type EventLookup,
  type Rejection,
  roomStateOf,
  stateOfAuthEvents,
  verifiedOnReceipt,
} from '../../protocol/auth-rules/index.ts'
import { createEventIdOf } from '../../protocol/event-id.ts'
import { type IdentifiedPdu, referencedIds } from '../../protocol/pdu.ts'
import type { RoomVersionRules } from '../../protocol/room-versions.ts'
import type { KeptEvent } from '../event.ts'
import type { OpenRoom } from '../open-room.ts'
import { type GroupedState, resolveGroups } from '../resolve.ts'
import type { StateMap } from '../state-map.ts'

/** What the checks make of an event that is well-formed and signed. */
export type Judgement =
  | { readonly outcome: 'accepted' }
  | { readonly outcome: 'softFailed'; readonly why: string }
  | { readonly outcome: 'rejected'; readonly how: Rejection; readonly why: string }

/** The state before an event: what its previous events left, resolved. Only within `room.enter`. */
export async function stateBefore(room: OpenRoom, previous: readonly string[]): Promise<GroupedState> {
  const { head } = room
  if (
    isSameSet(
      previous,
      head.extremities.map(({ eventId }) => eventId),
    )
  )
    return { group: head.group, state: head.state }
  const groups: number[] = []
  for (const eventId of previous) {
    const event = await room.find(eventId)
    if (!event || event.order === null) throw new Error(`the state after ${eventId} is not known`)
    groups.push(event.groupAfter)
  }
  return resolveGroups(room, groups)
}

/**
 * The state before an event some of whose previous events are not known: what the known ones left, resolved with the state
 * that another server gave as the one before the event. Only within `room.enter`.
 *
 * @param given that state, as `groupOfState` makes it
 */
export async function stateBeforeGap(
  room: OpenRoom,
  previous: readonly string[],
  given: GroupedState,
): Promise<GroupedState> {
  const groups = [given.group]
  for (const eventId of previous) {
    const event = await room.find(eventId)
    if (event?.order != null) groups.push(event.groupAfter)
  }
  if (groups.length === 1) return given
  room.keepState(given.group, given.state)
  const resolved = await resolveGroups(room, groups)
  return { ...resolved, newGroups: [...(given.newGroups ?? []), ...(resolved.newGroups ?? [])] }
}

function isSameSet(some: readonly string[], others: readonly string[]): boolean {
  return some.length === others.length && some.every((one) => others.includes(one))
}

/** The event's auth events, and the create event where the room's ID stands for it. */
export async function loadAuthEvents(room: OpenRoom, { pdu }: IdentifiedPdu): Promise<EventLookup> {
  const found = new Map<string, KeptEvent>()
  const wanted = [...referencedIds(pdu.auth_events)]
  if (room.rules.roomIdIsCreateHash) wanted.push(createEventIdOf(room.roomId))
  for (const eventId of wanted) {
    const event = await room.find(eventId)
    if (event) found.set(eventId, event)
  }
  return (eventId) => found.get(eventId)
}

/**
 * Steps 4 to 6 of the checks on receipt. Spec: server-server-api §Checks performed on receipt of a PDU.
 *
 * @param eventById must know the event's auth events
 * @param before the state before the event
 * @param current the room's current state
 */
export function judge(judged: {
  readonly event: IdentifiedPdu
  readonly rules: RoomVersionRules
  readonly eventById: EventLookup
  readonly before: StateMap
  readonly current: StateMap
}): Judgement {
  const { event, rules, eventById, before, current } = judged
  // 4
  const byAuthEvents = judgeByAuthEvents(event, eventById, rules)
  if (byAuthEvents.outcome !== 'accepted') return byAuthEvents
  // 5
  const stateOf = (state: StateMap) => roomStateOf((type, stateKey) => state.get(type, stateKey), rules)
  const atEvent = checkAuth(event.pdu, stateOf(before), rules, verifiedOnReceipt)
  if (!atEvent.ok) return { outcome: 'rejected', how: 'byState', why: atEvent.why }
  // 6
  if (current !== before && event.pdu.type !== 'm.room.create') {
    const now = checkAuth(event.pdu, stateOf(current), rules, verifiedOnReceipt)
    if (!now.ok) return { outcome: 'softFailed', why: now.why }
  }
  return { outcome: 'accepted' }
}

/** Step 4 alone, as for outliers. */
export function judgeByAuthEvents(event: IdentifiedPdu, eventById: EventLookup, rules: RoomVersionRules): Judgement {
  const wellChosen = checkAuthEvents(event.pdu, eventById, rules)
  if (!wellChosen.ok) return { outcome: 'rejected', how: 'byAuthEvents', why: wellChosen.why }
  const verdict = checkAuth(event.pdu, stateOfAuthEvents(event.pdu, eventById, rules), rules, verifiedOnReceipt)
  return verdict.ok ? { outcome: 'accepted' } : { outcome: 'rejected', how: 'byAuthEvents', why: verdict.why }
}
