import type { Conflict } from './conflict.ts'
import { heapBy } from './heap.ts'
import type { KnownEvents } from './known-events.ts'

/**
 * A numbering of the room's events in which every event has a greater number than each of its auth events. The order in
 * which a server accepted them is one if it accepts no event before its auth events. Never an event's `depth`: its sender
 * may have written anything there. `undefined`: not numbered.
 */
export type Ranks = (eventId: string) => number | undefined

/**
 * The auth difference: all events that are in the full auth chains of some states, but not of all.
 * Spec: rooms/v2 §Definitions.
 *
 * A state's full auth chain holds the state's own events, too. So whatever all states share belongs to all chains, with
 * everything behind it, and only what is in dispute needs to be followed. See the folder's entry in `DECISIONS.md`.
 *
 * @param ranks if given, the walk ends where the chains of all states have met, and does not depend on the room's size. If
 *   absent, or if an event on the way has no rank or a wrong one, the auth chains of the whole state are walked
 */
export function authDifference(conflict: Conflict, events: KnownEvents, ranks: Ranks | undefined): ReadonlySet<string> {
  return (ranks && walkByRank(conflict, events, ranks)) ?? walkEverything(conflict, events)
}

/**
 * Visits events from the highest rank down, so that all events that lead to one have been visited before it and its
 * holders are complete. Ends when all that is still to be visited is held by everyone.
 */
function walkByRank(conflict: Conflict, events: KnownEvents, ranks: Ranks): ReadonlySet<string> | undefined {
  const { everyone } = conflict
  const queue = heapBy<{ readonly eventId: string; readonly rank: number }>((a, b) => a.rank > b.rank)
  const holders = new Map<string, bigint>()
  const difference = new Set<string>()
  /** How many of the queue are not held by everyone, as far as we know yet. */
  let open = 0
  let isNumbered = true

  const enqueue = (eventId: string, heldBy: bigint, below: number): void => {
    const before = holders.get(eventId)
    if (before === everyone) return
    const rank = ranks(eventId)
    if (rank === undefined || rank >= below) {
      // An event that we do not know at all needs no number.
      if (rank !== undefined || events.find(eventId)) isNumbered = false
      return
    }
    if (before !== undefined) {
      holders.set(eventId, before | heldBy)
      if ((before | heldBy) === everyone) open -= 1
      return
    }
    const isShared = heldBy === everyone || isUnconflicted(eventId)
    holders.set(eventId, isShared ? everyone : heldBy)
    if (!isShared) open += 1
    queue.push({ eventId, rank })
  }
  const isUnconflicted = (eventId: string): boolean => {
    const event = events.find(eventId)
    return event !== undefined && conflict.unconflicted(event.key) === eventId
  }

  const shared = sharedEvents(conflict, ranks)
  for (const [eventId, heldBy] of conflict.holders) enqueue(eventId, heldBy, Number.POSITIVE_INFINITY)
  while (open > 0 && isNumbered) {
    const next = queue.peek()
    if (next === undefined) break
    // An event that all states share may lead to the next one, and then comes before it.
    const newcomers = shared.above(next.rank)
    if (newcomers === undefined) return undefined
    if (newcomers.length > 0) {
      for (const eventId of newcomers) enqueue(eventId, everyone, Number.POSITIVE_INFINITY)
      continue
    }
    queue.pop()
    const heldBy = holders.get(next.eventId) as bigint
    if (heldBy !== everyone) {
      open -= 1
      difference.add(next.eventId)
    }
    for (const authEvent of events.find(next.eventId)?.authEvents ?? []) enqueue(authEvent, heldBy, next.rank)
  }
  return isNumbered ? difference : undefined
}

/**
 * Hands out the unconflicted state's events by rank, from the top, in steps that double: most resolutions need only the
 * few that are newer than the fork. `undefined` if one has no rank.
 */
function sharedEvents(conflict: Conflict, ranks: Ranks): { above(rank: number): readonly string[] | undefined } {
  let floor = Number.POSITIVE_INFINITY
  let step = 256
  return {
    above(rank) {
      if (floor <= rank) return []
      const ceiling = floor
      floor = Math.min(rank, floor - step)
      step *= 2
      const found: string[] = []
      for (const [, eventId] of conflict.unconflictedEntries()) {
        const own = ranks(eventId)
        if (own === undefined) return undefined
        if (own > floor && own <= ceiling) found.push(eventId)
      }
      return found
    },
  }
}

/** The same without ranks: an order is found first, by walking the auth chains of all states to their ends. */
function walkEverything(conflict: Conflict, events: KnownEvents): ReadonlySet<string> {
  const holders = new Map(conflict.holders)
  for (const [, eventId] of conflict.unconflictedEntries()) holders.set(eventId, conflict.everyone)
  const difference = new Set<string>()
  for (const eventId of authEventsLast(holders.keys(), events)) {
    const heldBy = holders.get(eventId) as bigint
    if (heldBy !== conflict.everyone) difference.add(eventId)
    for (const authEvent of events.find(eventId)?.authEvents ?? []) {
      holders.set(authEvent, (holders.get(authEvent) ?? 0n) | heldBy)
    }
  }
  return difference
}

/**
 * The events and all that is in their auth chains, each before its auth events. Chains may be of any length.
 */
function authEventsLast(start: Iterable<string>, events: KnownEvents): readonly string[] {
  const order: string[] = []
  const seen = new Set<string>()
  for (const first of start) {
    const path: { eventId: string; authEvents: readonly string[]; next: number }[] = []
    const enter = (eventId: string): void => {
      if (seen.has(eventId)) return
      seen.add(eventId)
      const event = events.find(eventId)
      if (event) path.push({ eventId, authEvents: event.authEvents, next: 0 })
    }
    enter(first)
    for (let step = path.at(-1); step; step = path.at(-1)) {
      const authEvent = step.authEvents[step.next]
      step.next += 1
      if (authEvent !== undefined) enter(authEvent)
      else {
        order.push(step.eventId)
        path.pop()
      }
    }
  }
  return order.reverse()
}
