import type { Gap } from './gaps.ts'

/** Orders `from` (inclusive) to `to` (exclusive). */
export interface Piece {
  readonly from: number
  readonly to: number
}

/** The pieces that a stretch of the timeline can be read in, in the direction of travel. */
export interface Pieces {
  readonly pieces: readonly Piece[]
  /** Where reading ends before the stretch does: below the event of this order history is missing, which may be had. */
  readonly edge: number | undefined
  /** Whether history is missing below the lowest piece, also where nobody has it. */
  readonly hasMore: boolean
}

/**
 * Parts a stretch at the gaps in it.
 * @param gaps lowest first
 * @param passed edges behind which there is nothing to be had: reading goes on below those gaps
 */
export function piecesOf(
  stretch: Piece,
  isForward: boolean,
  gaps: readonly Gap[],
  passed: ReadonlySet<number>,
): Pieces {
  return isForward ? forward(stretch, gaps, passed) : backward(stretch, gaps, passed)
}

function backward({ from, to }: Piece, gaps: readonly Gap[], passed: ReadonlySet<number>): Pieces {
  const pieces: Piece[] = []
  let at = to
  for (const { next, floor } of gaps.toReversed()) {
    const edge = next + 1
    if (edge > at || edge < from) continue
    pieces.push({ from: edge, to: at })
    if (!passed.has(edge)) return { pieces, edge, hasMore: true }
    if (floor === null) return { pieces, edge: undefined, hasMore: true }
    at = Math.min(at, floor)
  }
  if (at > from) pieces.push({ from, to: at })
  return { pieces, edge: undefined, hasMore: false }
}

function forward({ from, to }: Piece, gaps: readonly Gap[], passed: ReadonlySet<number>): Pieces {
  const pieces: Piece[] = []
  let at = from
  for (const { next, floor } of gaps) {
    const edge = next + 1
    if (floor === null || edge <= at || edge >= to) continue
    if (floor > at) pieces.push({ from: at, to: floor })
    if (!passed.has(edge)) return { pieces, edge, hasMore: true }
    at = edge
  }
  pieces.push({ from: at, to })
  return { pieces, edge: undefined, hasMore: false }
}
