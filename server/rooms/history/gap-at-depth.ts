import { depthOf } from '../../protocol/event-format.ts'
import type { Gap } from '../gaps.ts'
import type { OpenRoom } from '../open-room.ts'
import { events } from '../store.ts'

/**
 * The gap that what is missing right before an event of some depth must be from: the lowest one above which all is at least as
 * deep. Senders may write any depth, so it only decides where something is shown. Only within `room.enter`.
 */
export async function gapAtDepth(room: OpenRoom, depth: number): Promise<Gap | undefined> {
  for (const gap of room.head.gaps) {
    const [above] = await room.lease.range(events, { index: 'order', from: gap.next + 1, limit: 1 })
    if (above && depthOf((await room.reader.complete(above)).pdu) >= depth) return gap
  }
  return undefined
}
