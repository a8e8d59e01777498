/**
 * Batch tokens: opaque to clients, places in a room's timeline to us. Spec: client-server-api §Pagination.
 *
 * - `t<order>`: between the event of that order and the one before it, so that going backward begins with the one before,
 *   and going forward with the event itself. What `/messages` and `/context` give, and `prev_batch` of `/sync`.
 * - `s<position>…`: behind all that had happened by that stream position. What `/sync` gives as `next_batch`; whatever else
 *   it holds after an underscore is not looked at here.
 */
export type BatchToken =
  | { readonly kind: 'order'; readonly order: number }
  | { readonly kind: 'position'; readonly position: number }

const TIMELINE = /^t(-?\d{1,15})$/
const STREAM = /^s(\d{1,15})(?:_|$)/

/** @param order of the event that lies right behind the place */
export const timelineToken = (order: number): string => `t${order}`

export function parseTimelineToken(token: string): BatchToken | undefined {
  const order = TIMELINE.exec(token)?.[1]
  if (order !== undefined) return { kind: 'order', order: Number(order) }
  const position = STREAM.exec(token)?.[1]
  return position === undefined ? undefined : { kind: 'position', position: Number(position) }
}
