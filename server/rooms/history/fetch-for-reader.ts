/** Single events of a room's past that a reader asks for. */
import { MatrixError } from '../../../shared/matrix/errors.ts'
import type { RoomsCore } from '../core.ts'
import { findEventByTime, type TimedEvent, type TimeWish } from '../find-by-time.ts'
import type { OpenRooms } from '../open-rooms.ts'
import { findVisible, type Reader, withAccess } from '../read-state.ts'
import { MAX_WAIT_MS, within } from './fill-ahead.ts'
import type { History } from './history.ts'

/**
 * Reads what hangs on an event; where the room does not have the event, other servers are asked for it, for its members alone.
 * @throws whatever `read` throws
 */
export async function readFetching<T>(
  core: RoomsCore,
  rooms: OpenRooms,
  history: History,
  { roomId, userId }: Reader,
  eventId: string,
  read: () => Promise<T>,
): Promise<T> {
  try {
    return await read()
  } catch (error) {
    if (!isNotFound(error) || !(await mayBeMissing(rooms, roomId, userId, eventId))) throw error
    if ((await within(core, MAX_WAIT_MS, history.fetchEvent(roomId, eventId))) !== true) throw error
    return await read()
  }
}

const isNotFound = (error: unknown): boolean => error instanceof MatrixError && error.status === 404

async function mayBeMissing(rooms: OpenRooms, roomId: string, userId: string, eventId: string): Promise<boolean> {
  using held = await rooms.hold(roomId)
  if (!held) return false
  const { joined, gaps } = held.room.visible
  return joined.has(userId) && gaps.length > 0 && (await held.room.find(eventId))?.order == null
}

/**
 * As `findEventByTime`; where this server lacks a part of the room's history others are asked, too.
 * @throws MatrixError 403 M_FORBIDDEN, 404 M_NOT_FOUND
 */
export async function findEventByTimeAnywhere(
  core: RoomsCore,
  rooms: OpenRooms,
  history: History,
  reader: Reader,
  wish: TimeWish,
): Promise<TimedEvent> {
  const ours = await orNotFound(findEventByTime(core, rooms, reader, wish))
  const isBetter = ({ ts }: { readonly ts: number }): boolean =>
    (wish.direction === 'forward' ? ts >= wish.ts : ts <= wish.ts) &&
    (ours instanceof MatrixError || Math.abs(ts - wish.ts) < Math.abs(ours.ts - wish.ts))
  const theirs = await askOthers(core, rooms, history, reader, wish)
  if (theirs && isBetter({ ts: theirs.originServerTs })) {
    // What it says of itself counts, not what another server says of it.
    const found = await orNotFound(readTime(core, rooms, history, reader, theirs.eventId))
    if (!(found instanceof MatrixError) && isBetter(found)) return found
  }
  if (ours instanceof MatrixError) throw ours
  return ours
}

async function askOthers(core: RoomsCore, rooms: OpenRooms, history: History, reader: Reader, wish: TimeWish) {
  using held = await rooms.hold(reader.roomId)
  if (!held) return undefined
  const { joined, gaps } = held.room.visible
  if (!joined.has(reader.userId) || gaps.length === 0) return undefined
  const direction = wish.direction === 'forward' ? 'f' : 'b'
  const theirs = await within(core, MAX_WAIT_MS, history.findByTime(reader.roomId, { ts: wish.ts, direction }))
  return theirs === 'late' ? undefined : theirs
}

function readTime(
  core: RoomsCore,
  rooms: OpenRooms,
  history: History,
  reader: Reader,
  eventId: string,
): Promise<TimedEvent> {
  return readFetching(core, rooms, history, reader, eventId, () =>
    withAccess(core, rooms, reader, async (view) => {
      const event = await findVisible(core, view, reader, eventId)
      return { eventId, ts: Number(event.pdu.origin_server_ts) }
    }),
  )
}

/** What is found, or the error that says that nothing is. */
async function orNotFound<T>(finding: Promise<T>): Promise<T | MatrixError> {
  try {
    return await finding
  } catch (error) {
    if (error instanceof MatrixError && error.status === 404) return error
    throw error
  }
}
