import { creatorOf, creatorsOf, readPowerLevels } from '../auth-rules/index.ts'
import type { RoomVersionRules } from '../room-versions.ts'
import { heapBy } from './heap.ts'
import type { KnownEvents, StateEvent } from './known-events.ts'

/** By Unicode code points, which is UTF-8 byte order, where `<` would compare UTF-16 code units. */
export const isLessId = (a: string, b: string): boolean => Buffer.compare(Buffer.from(a), Buffer.from(b)) < 0

/**
 * The reverse topological power ordering: earliest first, every event after its auth events; among those that could come
 * next, the one whose sender had more power by its own auth events, then the older, then the one with the lesser ID.
 * Spec: rooms/v2 §Definitions.
 */
export function reverseTopologicalPowerOrder(
  chosen: ReadonlyMap<string, StateEvent>,
  events: KnownEvents,
  rules: RoomVersionRules,
): readonly StateEvent[] {
  const waitsFor = new Map<string, number>()
  const citedBy = new Map<string, StateEvent[]>()
  const ready = heapBy<{ readonly event: StateEvent; readonly power: number }>((a, b) =>
    a.power !== b.power ? a.power > b.power : isOlder(a.event, b.event),
  )
  const makeReady = (event: StateEvent): void => ready.push({ event, power: powerOfSender(event, events, rules) })
  for (const event of chosen.values()) {
    const cited = event.authEvents.filter((eventId) => chosen.has(eventId))
    waitsFor.set(event.eventId, cited.length)
    for (const eventId of cited) {
      const citing = citedBy.get(eventId)
      if (citing) citing.push(event)
      else citedBy.set(eventId, [event])
    }
    if (cited.length === 0) makeReady(event)
  }
  const ordered: StateEvent[] = []
  for (let next = ready.pop(); next; next = ready.pop()) {
    ordered.push(next.event)
    for (const citing of citedBy.get(next.event.eventId) ?? []) {
      const left = (waitsFor.get(citing.eventId) as number) - 1
      waitsFor.set(citing.eventId, left)
      if (left === 0) makeReady(citing)
    }
  }
  return ordered
}

function isOlder(a: StateEvent, b: StateEvent): boolean {
  const aTs = Number(a.pdu.origin_server_ts)
  const bTs = Number(b.pdu.origin_server_ts)
  return aTs !== bTs ? aTs < bTs : isLessId(a.eventId, b.eventId)
}

/** The power level of an event's sender "when looking at their respective auth events". */
function powerOfSender(event: StateEvent, events: KnownEvents, rules: RoomVersionRules): number {
  const { sender } = event.pdu
  const create = events.impliedCreate ?? events.findAuthEvent(event, 'm.room.create', '')
  if (rules.privilegedCreators && creatorsOf(create?.pdu, rules).has(sender)) return Number.POSITIVE_INFINITY
  const powerLevels = events.findAuthEvent(event, 'm.room.power_levels', '')
  if (powerLevels) {
    const { users, levels } = readPowerLevels(powerLevels.pdu, rules)
    return users.get(sender) ?? levels.get('users_default') ?? 0
  }
  return create && creatorOf(create.pdu, rules) === sender ? 100 : 0
}

/**
 * The mainline ordering: by the place in the history of power levels that an event builds on, earliest first, then by age,
 * then by ID. Spec: rooms/v2 §Definitions.
 *
 * @param powerLevels the ID of the `m.room.power_levels` event whose history is the mainline; without it all events have the
 *   same place
 */
export function mainlineOrder(
  chosen: readonly StateEvent[],
  powerLevels: string | undefined,
  events: KnownEvents,
): readonly StateEvent[] {
  const positions = new Map<string, number>()
  for (let event = powerLevels === undefined ? undefined : events.find(powerLevels); event; ) {
    if (positions.has(event.eventId)) break
    positions.set(event.eventId, positions.size)
    event = previousPowerLevels(event, events)
  }
  const placed = chosen.map((event) => ({ event, position: mainlinePosition(event, positions, events) }))
  placed.sort((a, b) => {
    if (a.position !== b.position) return a.position > b.position ? -1 : 1
    if (a.event.eventId === b.event.eventId) return 0
    return isOlder(a.event, b.event) ? -1 : 1
  })
  return placed.map(({ event }) => event)
}

const previousPowerLevels = (event: StateEvent, events: KnownEvents): StateEvent | undefined =>
  events.findAuthEvent(event, 'm.room.power_levels', '')

/** @param positions of power level events; those found on the way are added, so that no stretch is walked twice */
function mainlinePosition(event: StateEvent, positions: Map<string, number>, events: KnownEvents): number {
  const walked: string[] = []
  let position = Number.POSITIVE_INFINITY
  const onTheWay = new Set<string>()
  for (let at = previousPowerLevels(event, events); at; at = previousPowerLevels(at, events)) {
    const known = positions.get(at.eventId)
    if (known !== undefined) {
      position = known
      break
    }
    if (onTheWay.has(at.eventId)) break
    onTheWay.add(at.eventId)
    walked.push(at.eventId)
  }
  for (const eventId of walked) positions.set(eventId, position)
  return position
}
