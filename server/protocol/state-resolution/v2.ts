import { checkAuth, roomStateOf } from '../auth-rules/index.ts'
import { authDifference } from './auth-difference.ts'
import { conflictedSubgraph } from './conflicted-subgraph.ts'
import type { Dispute } from './dispute.ts'
import type { KnownEvents, StateEvent } from './known-events.ts'
import { mainlineOrder, reverseTopologicalPowerOrder } from './order.ts'
import { stateMapKey } from './state-map.ts'

/**
 * Versions 2 and 2.1 of the algorithm. Spec: rooms/v2 §State resolution, rooms/v12 §State resolution.
 *
 * @returns the entries that were fought over and the events that won them; entries of the unconflicted state map among them
 *   are to be ignored (step 5)
 */
export function resolveV2(dispute: Dispute): ReadonlyMap<string, string> {
  const { conflict, events, rules } = dispute
  const fullConflicted = fullConflictedSet(dispute)
  // 1
  const powerEvents = withAuthEvents([...fullConflicted.values()].filter(isPowerEvent), fullConflicted)
  const ordered = reverseTopologicalPowerOrder(powerEvents, events, rules)
  // 2
  const isBasedOnUnconflicted = rules.stateResolution !== 'v2.1'
  const resolved = new Map<string, string>()
  const current = (key: string): string | undefined =>
    resolved.get(key) ?? (isBasedOnUnconflicted ? conflict.unconflicted(key) : undefined)
  applyAllowed(ordered, resolved, current, dispute)
  // 3
  const remaining = [...fullConflicted.values()].filter(({ eventId }) => !powerEvents.has(eventId))
  const mainline = mainlineOrder(remaining, current(stateMapKey('m.room.power_levels', '')), events)
  // 4
  applyAllowed(mainline, resolved, current, dispute)
  return resolved
}

/** The full conflicted set, as far as its events are known. */
function fullConflictedSet({ conflict, events, rules, ranks }: Dispute): ReadonlyMap<string, StateEvent> {
  const found = new Map<string, StateEvent>()
  const add = (eventId: string): void => {
    const event = events.find(eventId)
    if (event) found.set(eventId, event)
  }
  for (const eventId of conflict.holders.keys()) add(eventId)
  const disputed = new Set(found.keys())
  for (const eventId of authDifference(conflict, events, ranks)) add(eventId)
  if (rules.stateResolution === 'v2.1') for (const eventId of conflictedSubgraph(disputed, events, ranks)) add(eventId)
  return found
}

/** Whether the event might take away somebody's ability to do something in the room. Spec: rooms/v2 §Definitions. */
function isPowerEvent({ pdu }: StateEvent): boolean {
  switch (pdu.type) {
    case 'm.room.power_levels':
    case 'm.room.join_rules':
      return pdu.state_key === ''
    case 'm.room.member': {
      const { membership } = pdu.content
      return (membership === 'leave' || membership === 'ban') && pdu.sender !== pdu.state_key
    }
    default:
      return false
  }
}

/** The events, and those of the full conflicted set that they build on. */
function withAuthEvents(
  start: readonly StateEvent[],
  fullConflicted: ReadonlyMap<string, StateEvent>,
): ReadonlyMap<string, StateEvent> {
  const found = new Map<string, StateEvent>()
  const waiting = [...start]
  for (let event = waiting.pop(); event; event = waiting.pop()) {
    if (found.has(event.eventId)) continue
    found.set(event.eventId, event)
    for (const eventId of event.authEvents) {
      const authEvent = fullConflicted.get(eventId)
      if (authEvent) waiting.push(authEvent)
    }
  }
  return found
}

/**
 * The iterative auth checks: takes one event after the other into `resolved` if the state up to then allows it.
 * Spec: rooms/v2 §Definitions.
 */
function applyAllowed(
  ordered: readonly StateEvent[],
  resolved: Map<string, string>,
  current: (key: string) => string | undefined,
  { events, rules, env }: Dispute,
): void {
  for (const event of ordered) {
    // Rejected for what it cites: no state can make up for that.
    if (event.rejected === 'byAuthEvents') continue
    const state = roomStateOf((type, stateKey) => {
      const eventId = current(stateMapKey(type, stateKey))
      const inState = eventId === undefined ? undefined : events.find(eventId)
      return inState ?? fromAuthEvents(event, type, stateKey, events)
    }, rules)
    if (checkAuth(event.pdu, state, rules, env).ok) resolved.set(event.key, event.eventId)
  }
}

/** What the event itself says authorizes it, for entries that the state does not have. */
function fromAuthEvents(
  event: StateEvent,
  type: string,
  stateKey: string,
  events: KnownEvents,
): StateEvent | undefined {
  const isCreate = type === 'm.room.create' && stateKey === ''
  const found = (isCreate ? events.impliedCreate : undefined) ?? events.findAuthEvent(event, type, stateKey)
  return found?.rejected ? undefined : found
}
