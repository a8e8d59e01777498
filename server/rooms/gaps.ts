/**
 * Places of a room's timeline where history is missing: before its first event in rooms that were made elsewhere, and where
 * events went past this server while it was away. What is fetched later is put into them from above, newest first.
 */
import { type Op, put, remove } from '../store/index.ts'
import { type GapRow, gaps } from './store.ts'

export interface Gap {
  /** Order of the event right above it. */
  readonly top: number
  /** The next event that is fetched gets this order; those between it and `top` have come already. */
  readonly next: number
  /** The lowest order that belongs to it; `null` where it is the beginning of all that is known. */
  readonly floor: number | null
  /** Events that those above it build on, and that are not known. */
  readonly missing: readonly string[]
}

/**
 * Orders that are left free for what is missing in the middle of a timeline. More than anybody scrolls back over; orders up to
 * 2^52 may be used, so that a server which makes gaps on purpose gets nowhere.
 */
export const GAP_SIZE = 1_000_000
/** So many are remembered for a room; the oldest in the middle are forgotten first. */
const MAX_GAPS = 256
/** So many missing events are remembered for one gap. */
export const MAX_MISSING = 64

/** Where an event goes whose previous events are not all known. @param latestOrder of the newest event, 0 in an empty room */
export function newGap(latestOrder: number, missing: readonly string[]): Gap {
  const top = latestOrder === 0 ? 1 : latestOrder + 1 + GAP_SIZE
  const floor = latestOrder === 0 ? null : latestOrder + 1
  return { top, next: top - 1, floor, missing: missing.slice(0, MAX_MISSING) }
}

/** The gaps with one more on top. */
export function withGap(all: readonly Gap[], gap: Gap): readonly Gap[] {
  const surplus = all.length + 1 - MAX_GAPS
  if (surplus <= 0) return [...all, gap]
  return [
    ...all.filter(({ floor }) => floor === null),
    ...all.filter(({ floor }) => floor !== null).slice(surplus),
    gap,
  ]
}

/** The gaps where one of them lacks some more events. */
export function withMissing(all: readonly Gap[], gap: Gap | undefined, missing: readonly string[]): readonly Gap[] {
  const wider = [...new Set([...missing, ...(gap?.missing ?? [])])].slice(0, MAX_MISSING)
  return all.map((one) => (one === gap ? { ...one, missing: wider } : one))
}

/** Whether one more can be remembered without forgetting another. */
export const hasPlaceForGap = (all: readonly Gap[]): boolean => all.length < MAX_GAPS

/** The highest gap that lies below an order and is not filled yet. */
export const openGapBelow = (all: readonly Gap[], order: number): Gap | undefined =>
  all.findLast(({ next }) => next < order)

/** The order of the lowest event above that gap. */
export function gapBelow(all: readonly Gap[], order: number): number | undefined {
  const gap = openGapBelow(all, order)
  return gap && gap.next + 1
}

/** Writes what differs from one list to another. */
export function gapOps(roomId: string, before: readonly Gap[], after: readonly Gap[]): readonly Op[] {
  if (before === after) return []
  const ops: Op[] = []
  for (const gap of after) if (!before.includes(gap)) ops.push(put(gaps, rowOf(gap), roomId))
  for (const { top } of before) {
    if (!after.some((gap) => gap.top === top)) ops.push(remove(gaps, top, roomId))
  }
  return ops
}

const rowOf = ({ missing, ...gap }: Gap): GapRow => ({ ...gap, missing: JSON.stringify(missing) })

export const readGap = ({ missing, ...row }: GapRow): Gap => ({
  ...row,
  missing: JSON.parse(missing) as readonly string[],
})
