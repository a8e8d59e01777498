import { depthOf } from '../../protocol/event-format.ts'
import type { IdentifiedPdu } from '../../protocol/pdu.ts'
import { GAP_SIZE, type Gap, hasPlaceForGap } from '../gaps.ts'
import type { OpenRoom } from '../open-room.ts'
import { gapAtDepth } from './gap-at-depth.ts'

/** A smaller gap is filled from above and not parted. */
const MIN_PARTED = 1_000

/**
 * Where a single event of a room's past goes: into the gap that lacks it, or that it must be from by its depth, and that it
 * parts in two. Only within `room.enter`.
 *
 * @param missing those of its previous events that are not known
 * @returns its order and the room's gaps then; `undefined` where there is no place for it
 */
export async function islandFor(
  room: OpenRoom,
  event: IdentifiedPdu,
  missing: readonly string[],
): Promise<{ readonly order: number; readonly gaps: readonly Gap[] } | undefined> {
  const { gaps } = room.head
  if (!hasPlaceForGap(gaps)) return undefined
  // What is at least as deep as all that lies above the gaps is on its way here: it must come as news, so that clients hear of it.
  const gap =
    gaps.find(({ missing: awaited }) => awaited.includes(event.eventId)) ??
    (await gapAtDepth(room, depthOf(event.pdu) + 1))
  if (!gap) return undefined
  const { floor, next } = gap
  if (floor !== null && next - floor < MIN_PARTED) return undefined
  const order = floor === null ? next - GAP_SIZE : floor + ((next - floor) >> 1)
  const below: Gap = { top: order, next: order - 1, floor, missing }
  const above: Gap = { ...gap, floor: order + 1 }
  const parted = missing.length === 0 ? [above] : [below, above]
  return { order, gaps: gaps.flatMap((one) => (one === gap ? parted : one)) }
}
