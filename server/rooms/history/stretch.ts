/** Which of the events that another server gave as history are put into a gap, and in what order. */
import { depthOf } from '../../protocol/event-format.ts'
import { type IdentifiedPdu, referencedIds } from '../../protocol/pdu.ts'

/** Events of a gap, oldest first, each after those of them that it builds on. */
export interface Stretch {
  readonly events: readonly IdentifiedPdu[]
  /** Of these events those whose previous events are not all known, by ID: the state before them must be asked for. */
  readonly edges: ReadonlySet<string>
}

/**
 * @param given what the other server gave, verified, without what has a place in the timeline already
 * @param passages events that are not taken in, but tell what lies behind them: servers are gone, and with them the keys to what
 *   they said
 * @param missing the events that those above the gap build on: only they, and what is behind them, belong into it
 * @param isPlaced whether an event has a place in the timeline
 * @param maxEdges where there would be more edges, the oldest events are left for the next time
 */
export function stretchOf(
  given: ReadonlyMap<string, IdentifiedPdu>,
  passages: ReadonlyMap<string, IdentifiedPdu>,
  missing: readonly string[],
  isPlaced: (eventId: string) => boolean,
  maxEdges: number,
): Stretch {
  const reached = new Map<string, IdentifiedPdu>()
  const open = new Set(missing)
  // What is added while it is walked is walked, too.
  for (const eventId of open) {
    const event = given.get(eventId)
    const passage = event ?? passages.get(eventId)
    if (!passage || isPlaced(eventId)) continue
    if (event) reached.set(eventId, event)
    for (const previous of referencedIds(passage.pdu.prev_events)) open.add(previous)
  }
  const sorted = oldestFirst(reached)
  for (let from = 0; ; from += 1) {
    const events = sorted.slice(from)
    const ids = new Set(events.map(({ eventId }) => eventId))
    const edges = new Set<string>()
    for (const { eventId, pdu } of events) {
      const isEdge = referencedIds(pdu.prev_events).some((previous) => !ids.has(previous) && !isPlaced(previous))
      if (isEdge) edges.add(eventId)
    }
    // The newest event alone has one edge at most.
    if (edges.size <= maxEdges || events.length <= 1) return { events, edges }
  }
}

/** By depth and time, but never before what an event builds on, whatever its sender says. */
function oldestFirst(events: ReadonlyMap<string, IdentifiedPdu>): readonly IdentifiedPdu[] {
  const left = new Map([...events].sort(([, a], [, b]) => compareAge(a, b)))
  const sorted: IdentifiedPdu[] = []
  for (let isMoving = true; isMoving; ) {
    isMoving = false
    for (const [eventId, event] of left) {
      if (referencedIds(event.pdu.prev_events).some((previous) => left.has(previous))) continue
      left.delete(eventId)
      sorted.push(event)
      isMoving = true
    }
  }
  return sorted
}

const compareAge = (a: IdentifiedPdu, b: IdentifiedPdu): number =>
  depthOf(a.pdu) - depthOf(b.pdu) || Number(a.pdu.origin_server_ts) - Number(b.pdu.origin_server_ts)
