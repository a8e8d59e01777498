import { notFound } from '../../shared/matrix/errors.ts'
import type { RoomsCore } from './core.ts'
import type { OpenRooms } from './open-rooms.ts'
import { findVisible, type Reader, viewerOf } from './read-state.ts'
import { KeptRoomView } from './room-view.ts'

/**
 * An event that a user reports: one that they may see, in a room that they are in now.
 * Spec: client-server-api §Reporting Content, Server behaviour.
 *
 * @returns its sender, and the event as the user sees it, as JSON text
 * @throws MatrixError 404 M_NOT_FOUND
 */
export async function readReportable(
  core: RoomsCore,
  rooms: OpenRooms,
  reader: Reader,
  eventId: string,
): Promise<{ readonly sender: string; readonly json: string }> {
  const unknown = () => notFound('The event was not found or you are not joined to the room')
  using held = await rooms.hold(reader.roomId)
  if (!held?.room.visible.joined.has(reader.userId)) throw unknown()
  using view = new KeptRoomView(core, held.room)
  const event = await findVisible(core, view, reader, eventId)
  return { sender: event.pdu.sender, json: await view.render(event, viewerOf(reader)) }
}
