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

/**
 * How deep the room's newest stretch without gaps begins: what is missing and no less deep is news, the rest is history.
 * @returns 0 where nothing is missing
 */
export async function depthOfNewestStretch({ head, lease, reader }: OpenRoom): Promise<number> {
  const gap = head.gaps.at(-1)
  if (!gap) return 0
  const [above] = await lease.range(events, { index: 'order', from: gap.next + 1, limit: 1 })
  return above ? depthOf((await reader.complete(above)).pdu) : 0
}
