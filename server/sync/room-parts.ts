/**
 * Pieces of a room's entry that joined and left rooms have in common.
 */
import { type RoomEvent, type RoomView, type StateView, timelineToken } from '../rooms/index.ts'
import type { LazyMembers } from './lazy-members.ts'
import type { Timeline } from './timeline.ts'
import type { Viewer } from './viewer.ts'

/** `{"events":[…]}` */
export const eventsText = (events: readonly string[]): string => `{"events":[${events.join(',')}]}`

/**
 * The events as clients see them, in the format and with the fields that the filter asks for.
 * @param bundles with what is known of their children
 */
export async function renderEvents(
  view: RoomView,
  viewer: Viewer,
  events: readonly RoomEvent[],
  bundles = false,
): Promise<readonly string[]> {
  const { userId, deviceId, filter } = viewer
  const eventViewer = { userId, deviceId, withRoomId: false, format: filter.format, bundles }
  const texts: string[] = []
  for (const event of events) texts.push(await view.render(event, eventViewer))
  return filter.pickFields ? texts.map(filter.pickFields) : texts
}

export async function timelineText(view: RoomView, viewer: Viewer, timeline: Timeline): Promise<string> {
  // Where nothing is left out the client gets all children itself. Spec: client-server-api §Aggregations of child events.
  const events = await renderEvents(view, viewer, timeline.events, timeline.limited)
  const prevBatch = JSON.stringify(timelineToken(timeline.startOrder))
  return `{"events":[${events.join(',')}],"limited":${timeline.limited},"prev_batch":${prevBatch}}`
}

/** Names what has been sent to a client under a filter. */
export const clientKey = ({ userId, deviceId, filter }: Viewer): string => JSON.stringify([userId, deviceId, filter.id])

/**
 * What the state filter lets through of these events; with lazy loading, of member events only those that are needed, and of
 * these only such as the client has not got yet.
 *
 * @param query.events candidates; `areChanges`: what changed since the client's last sync, of which it must miss nothing
 * @param query.members state to take member events of senders from
 */
export function selectState(query: {
  readonly viewer: Viewer
  readonly view: RoomView
  readonly timeline: Timeline
  readonly events: readonly RoomEvent[]
  readonly areChanges: boolean
  readonly members: StateView
  /** Besides the senders in the timeline. */
  readonly alsoNeeded: readonly string[]
  readonly isAfter: boolean
  readonly since: number
  readonly lazyMembers: LazyMembers
}): readonly RoomEvent[] {
  const { viewer, view, timeline, events, areChanges, members, alsoNeeded, isAfter, since, lazyMembers } = query
  const filter = viewer.filter.state
  if (filter.passesNothing || !filter.passesRoom(view.roomId)) return []
  const passing = filter.passesAllEvents ? events : events.filter(({ pdu }) => filter.passes(pdu))
  if (!filter.lazyLoadMembers) return passing

  const kept = areChanges ? [...passing] : passing.filter(({ pdu }) => pdu.type !== 'm.room.member')
  const sent = new Set(kept.map(({ eventId }) => eventId))
  const told = new Set(isAfter ? [] : timeline.events.map(({ eventId }) => eventId))
  const client = clientKey(viewer)
  const needed = new Set(timeline.events.map(({ pdu }) => pdu.sender))
  for (const userId of alsoNeeded) needed.add(userId)
  for (const userId of needed) {
    const member = members.get('m.room.member', userId)
    if (!member || sent.has(member.eventId) || told.has(member.eventId) || !filter.passes(member.pdu)) continue
    // Who asks for the full state gets the own member event whatever was sent before.
    const mayBeLeftOut = !filter.includeRedundantMembers && !(viewer.fullState && userId === viewer.userId)
    if (mayBeLeftOut && lazyMembers.isKnown(client, since, member)) continue
    kept.push(member)
  }
  return kept
}
