import type { Ranks } from './auth-difference.ts'
import type { KnownEvents } from './known-events.ts'

/**
 * The conflicted state subgraph: every event on a path of auth events from one event of the conflicted state set to another,
 * both ends included. Spec: rooms/v12 §Definitions.
 *
 * @param ranks if given, and right, the walk does not go below the lowest event of the conflicted state set
 */
export function conflictedSubgraph(
  conflicted: ReadonlySet<string>,
  events: KnownEvents,
  ranks: Ranks | undefined,
): ReadonlySet<string> {
  return (ranks && walk(conflicted, events, ranks)) ?? walk(conflicted, events, undefined) ?? conflicted
}

/** @returns `undefined` if the ranks turn out not to be a numbering of these events */
function walk(
  conflicted: ReadonlySet<string>,
  events: KnownEvents,
  ranks: Ranks | undefined,
): ReadonlySet<string> | undefined {
  const lowest = ranks ? lowestRank(conflicted, ranks) : undefined
  const subgraph = new Set(conflicted)
  const seen = new Set<string>()
  for (const first of conflicted) {
    if (seen.has(first)) continue
    seen.add(first)
    const path = [stepInto(first, events)]
    for (let step = path.at(-1); step; step = path.at(-1)) {
      const authEvent = step.authEvents[step.next]
      if (authEvent === undefined) {
        // All that the event leads to is known now: if it leads into the subgraph, so does what leads to it.
        path.pop()
        const citing = path.at(-1)
        if (citing && subgraph.has(step.eventId)) subgraph.add(citing.eventId)
        continue
      }
      step.next += 1
      if (ranks && lowest !== undefined) {
        const rank = ranks(authEvent)
        if (rank === undefined || rank >= (ranks(step.eventId) ?? rank)) {
          if (events.find(authEvent)) return undefined
          continue
        }
        if (rank < lowest) continue
      }
      if (subgraph.has(authEvent)) subgraph.add(step.eventId)
      if (seen.has(authEvent)) continue
      seen.add(authEvent)
      path.push(stepInto(authEvent, events))
    }
  }
  return subgraph
}

interface Step {
  readonly eventId: string
  readonly authEvents: readonly string[]
  next: number
}

const stepInto = (eventId: string, events: KnownEvents): Step => ({
  eventId,
  authEvents: events.find(eventId)?.authEvents ?? [],
  next: 0,
})

function lowestRank(eventIds: Iterable<string>, ranks: Ranks): number | undefined {
  let lowest = Number.POSITIVE_INFINITY
  for (const eventId of eventIds) {
    const rank = ranks(eventId)
    if (rank === undefined) return undefined
    lowest = Math.min(lowest, rank)
  }
  return lowest
}
