import { notFound } from '../../shared/matrix/errors.ts'
import type { RoomsCore } from './core.ts'
import type { KeptEvent } from './event.ts'
import type { OpenRooms } from './open-rooms.ts'
import { type Reader, withAccess } from './read-state.ts'
import type { KeptRoomView } from './room-view.ts'

export interface TimeWish {
  readonly ts: number
  readonly direction: 'forward' | 'backward'
}

export interface TimedEvent {
  readonly eventId: string
  readonly ts: number
}

/** Mostly the first one may be seen. */
const FIRST_READ = 4
const PER_READ = 64
/** So many events are looked at that the reader may not see. */
const MAX_LOOKED_AT = 4_096

/**
 * The event nearest to a time, at it or on that side of it, of those that the reader may see.
 * Spec: client-server-api §GET /rooms/{roomId}/timestamp_to_event.
 *
 * @throws MatrixError 403 M_FORBIDDEN, 404 M_NOT_FOUND
 */
export function findEventByTime(
  core: RoomsCore,
  rooms: OpenRooms,
  reader: Reader,
  { ts, direction }: TimeWish,
): Promise<TimedEvent> {
  return withAccess(core, rooms, reader, async (view, access) => {
    const found = await findNearest(view, { ts, direction }, async (candidates) => {
      const shown = candidates.filter(({ order }) => order !== null && order < access.until)
      return (await view.visibleTo(reader.userId, shown))[0]
    })
    if (found) return found
    throw notFound(`There is no event ${direction === 'forward' ? 'after' : 'before'} ${ts}`)
  })
}

/**
 * The event nearest to a time of those that somebody may see.
 * @param pick gives the first of some events, the nearest first, that they may see
 */
export async function findNearest(
  view: Pick<KeptRoomView, 'findBy'>,
  { ts, direction }: TimeWish,
  pick: (candidates: readonly KeptEvent[]) => Promise<KeptEvent | undefined>,
): Promise<TimedEvent | undefined> {
  const isForward = direction === 'forward'
  let bound = isForward ? ts : ts + 1
  for (let lookedAt = 0; lookedAt < MAX_LOOKED_AT; ) {
    const range = isForward ? { from: bound } : { to: bound }
    const limit = lookedAt === 0 ? FIRST_READ : PER_READ
    const found = await view.findBy('ts', { ...range, direction, limit })
    lookedAt += limit
    const event = await pick(found)
    if (event) return { eventId: event.eventId, ts: Number(event.pdu.origin_server_ts) }
    const last = found.at(-1)
    if (!last || found.length < limit) break
    const lastTs = Number(last.pdu.origin_server_ts)
    // Where all are of one time, the rest of that time is passed over.
    if (isForward) bound = lastTs === bound ? bound + 1 : lastTs
    else bound = lastTs + 1 === bound ? lastTs : lastTs + 1
  }
  return undefined
}
