import { notFound } from '../../../shared/matrix/errors.ts'
import type { RoomsCore } from '../core.ts'
import { findNearest, type TimedEvent, type TimeWish } from '../find-by-time.ts'
import type { OpenRooms } from '../open-rooms.ts'
import { KeptRoomView } from '../room-view.ts'
import { type Asking, withRoomOf } from './admission.ts'
import { ServerSight } from './server-sight.ts'

/**
 * The event nearest to a time, at it or on that side of it, of those that some user of the server may see.
 * Spec: data/api/server-server/events.yaml, `getEventByTimestamp`.
 *
 * @throws MatrixError 403 M_FORBIDDEN, 404 M_NOT_FOUND
 */
export function findByTimeForServer(core: RoomsCore, rooms: OpenRooms, wish: Asking & TimeWish): Promise<TimedEvent> {
  return withRoomOf(core, rooms, wish, async (room) => {
    using view = new KeptRoomView(core, room)
    const sight = new ServerSight(core, room, wish.server)
    const found = await findNearest(view, wish, async (candidates) => {
      for (const event of candidates) if (!event.isHidden && (await sight.maySee(event))) return event
      return undefined
    })
    if (found) return found
    throw notFound(`There is no event ${wish.direction === 'forward' ? 'after' : 'before'} ${wish.ts}`)
  })
}
