/**
 * The state events that an answer holds for a room besides its timeline.
 * Spec: client-server-api §Syncing; data/api/client-server/sync.yaml, `state` and `state_after`.
 */
import type { RoomEvent, RoomView, StateView } from '../rooms/index.ts'
import type { Timeline } from './timeline.ts'

export interface StateQuery {
  readonly view: RoomView
  /** Orders that the timeline was taken from: `from` (inclusive) to `to` (exclusive). */
  readonly stretch: { readonly from: number; readonly to: number }
  readonly timeline: Timeline
  /** At the end of the timeline rather than at its start. */
  readonly isAfter: boolean
  /** The state at the end of the stretch; before that, `stateAtEnd`. */
  readonly end: StateView
}

/** The room's state as it is at the end of the stretch. */
export async function stateAtEnd(view: RoomView, to: number): Promise<StateView> {
  return to > view.latestOrder ? view.state : view.stateAt(to - 1)
}

const find = (state: StateView, { pdu }: RoomEvent): RoomEvent | undefined => state.get(pdu.type, pdu.state_key ?? '')

function stateIdsIn(timeline: Timeline): ReadonlySet<string> {
  const ids = new Set<string>()
  for (const { eventId, pdu } of timeline.events) if (pdu.state_key !== undefined) ids.add(eventId)
  return ids
}

/**
 * All state, for a client that knows nothing of the room. Before the timeline: as it is at the timeline's start, and of
 * what changed since then that which the timeline, being filtered, does not tell.
 */
export async function wholeState({ view, timeline, isAfter, end }: StateQuery): Promise<RoomEvent[]> {
  const told = stateIdsIn(timeline)
  if (isAfter || told.size === 0) return [...end.all()]
  const start = await view.stateAt(timeline.startOrder - 1)
  const events: RoomEvent[] = []
  for (const event of end.all()) {
    const sent = told.has(event.eventId) ? find(start, event) : event
    if (sent && !told.has(sent.eventId)) events.push(sent)
  }
  return events
}

/**
 * What changed, for a client that knows the state before the stretch.
 * @param changed the state events at the end of the stretch that were not current before it
 */
export async function changedState(query: StateQuery, changed: readonly RoomEvent[]): Promise<RoomEvent[]> {
  const { view, stretch, timeline, isAfter } = query
  if (isAfter || changed.length === 0) return [...changed]
  const told = stateIdsIn(timeline)
  const untold = changed.filter(({ eventId }) => !told.has(eventId))
  if (!timeline.limited || untold.length === changed.length) return untold
  // What the timeline tells may have been changed in the gap before it, too.
  const [before, start] = [await view.stateAt(stretch.from - 1), await view.stateAt(timeline.startOrder - 1)]
  const inGap: RoomEvent[] = []
  for (const event of changed) {
    if (!told.has(event.eventId)) continue
    const atStart = find(start, event)
    if (atStart && atStart.eventId !== find(before, event)?.eventId) inGap.push(atStart)
  }
  return [...inGap, ...untold]
}

/** What is current at the end of the stretch and was not before it, found by comparing. Costs as much as the state is large. */
export async function compareStates(view: RoomView, from: number, end: StateView): Promise<RoomEvent[]> {
  const before = await view.stateAt(from - 1)
  return [...end.all()].filter((event) => find(before, event)?.eventId !== event.eventId)
}
