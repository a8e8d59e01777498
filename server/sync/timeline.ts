/**
 * The newest events of a stretch of a room's timeline that a filter lets through and the viewer may see.
 */
import type { RoomEvent, RoomView } from '../rooms/index.ts'
import type { Viewer } from './viewer.ts'

/** So many events are looked at in one room; where fewer pass the filter, the client gets a gap and pages on by itself. */
const MAX_LOOKED_AT = 1_000
const PER_READ = 100

export interface Timeline {
  /** Oldest first. */
  readonly events: readonly RoomEvent[]
  /** There are more in the stretch, before these. */
  readonly limited: boolean
  /** What the timeline tells of begins with this order: before it lie the events that were left out, or the stretch's start. */
  readonly startOrder: number
}

/**
 * @param stretch orders `from` (inclusive) to `to` (exclusive)
 */
export async function collectTimeline(
  view: RoomView,
  viewer: Viewer,
  stretch: { readonly from: number; readonly to: number },
): Promise<Timeline> {
  // Below a gap are events that did not come right before; the client asks for those that did.
  const from = Math.max(stretch.from, view.gapBelow(stretch.to - 1) ?? stretch.from)
  const { filter, ignored, userId } = viewer
  const limit = filter.timelineLimit
  if (filter.timeline.passesNothing || !filter.timeline.passesRoom(view.roomId)) {
    return { events: [], limited: false, startOrder: stretch.to }
  }
  const isWanted = (event: RoomEvent): boolean => {
    const { type, sender, content, state_key: stateKey } = event.pdu
    if (stateKey === undefined && ignored.has(sender)) return false
    return filter.timeline.passes({ type, sender, content })
  }
  /** Newest first; one more than is asked for tells that there are more. */
  const found: RoomEvent[] = []
  let to = stretch.to
  let lookedAt = 0
  while (to > from && found.length <= limit && lookedAt < MAX_LOOKED_AT) {
    const size = lookedAt === 0 ? limit + 1 : PER_READ
    const read = await view.timeline({ from, to, limit: size, direction: 'backward' })
    lookedAt += read.length
    const wanted = read.filter(isWanted)
    if (wanted.length > 0) found.push(...(await view.visibleTo(userId, wanted)))
    to = read.length < size ? from : (read.at(-1)?.order ?? from)
  }
  const limited = found.length > limit || to > from || from > stretch.from
  // Nothing is told of the stretch, so that the client pages back from its end.
  if (limit === 0) return { events: [], limited, startOrder: stretch.to }
  const events = found.slice(0, limit).reverse()
  if (!limited) return { events, limited, startOrder: from }
  return { events, limited, startOrder: found.length > limit ? (events[0]?.order ?? to) : to }
}
