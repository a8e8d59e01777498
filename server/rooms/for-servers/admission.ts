/** Which servers are answered about a room. Spec: server-server-api §Server Access Control Lists (ACLs). */
import { forbidden, type MatrixError, notFound } from '../../../shared/matrix/errors.ts'
import type { RoomsCore } from '../core.ts'
import type { KeptEvent } from '../event.ts'
import type { OpenRoom } from '../open-room.ts'
import type { OpenRooms } from '../open-rooms.ts'
import { isServerAllowed } from '../server-acl.ts'
import { roomServerKey, roomServers } from '../store.ts'

/** A server that asks, and the room that it asks about. */
export interface Asking {
  readonly server: string
  readonly roomId: string
}

/** One answer for a room that is not there, one that the server is not in, and one that shuts it out. */
export const outside = (): MatrixError => forbidden('Your server is not in this room')

/** Whether the room's ACL, as it is now, lets the server take part. */
export function isShutOut(room: OpenRoom, server: string): boolean {
  const acl = room.visible.state.get('m.room.server_acl')
  return acl !== undefined && !isServerAllowed(server, acl.pdu.content)
}

/** Whether the server has joined members and is not shut out. */
export const isInRoom = (room: OpenRoom, server: string): boolean =>
  room.visible.servers.has(server) && !isShutOut(room, server)

/** Whether a server, which may be ours, has joined members in a room. No room is opened for it, so that asking costs little. */
export async function hasServer(core: RoomsCore, rooms: OpenRooms, { server, roomId }: Asking): Promise<boolean> {
  const open = rooms.findOpen(roomId)
  if (open) return open.visible.servers.has(server)
  if (server === core.environment.serverName) return (await core.memberships.joinedTo(roomId)).size > 0
  return (await core.store.home.get(roomServers, roomServerKey(roomId, server))) !== undefined
}

/**
 * Runs work on a room for a server that is in it.
 * @throws MatrixError 403 M_FORBIDDEN for all others, whether there is such a room or not
 */
export async function withRoomOf<T>(
  core: RoomsCore,
  rooms: OpenRooms,
  { server, roomId }: Asking,
  work: (room: OpenRoom) => T | Promise<T>,
): Promise<T> {
  if (!(await hasServer(core, rooms, { server, roomId }))) throw outside()
  using held = await rooms.hold(roomId)
  if (!held || !isInRoom(held.room, server)) throw outside()
  return await work(held.room)
}

/**
 * Runs work on a room that a server wants to come into, or to leave without being in it: one that this server is in.
 * @throws MatrixError 403 M_FORBIDDEN for a server that is shut out, 404 M_NOT_FOUND
 */
export async function withResidentRoom<T>(
  core: RoomsCore,
  rooms: OpenRooms,
  { server, roomId }: Asking,
  work: (room: OpenRoom) => T | Promise<T>,
): Promise<T> {
  const isHere = await hasServer(core, rooms, { server: core.environment.serverName, roomId })
  using held = isHere ? await rooms.hold(roomId) : undefined
  if (!held) throw notFound('This server is not in such a room')
  if (isShutOut(held.room, server)) throw forbidden('Your server is shut out of this room')
  // Who lets somebody in must know the members: the others in the room do.
  if (held.room.partial) throw notFound('This server has not joined the room completely yet')
  return await work(held.room)
}

/** An event that is on disk, outliers among them: no other server hears of one before it is. */
export async function findDurable(room: OpenRoom, eventId: string): Promise<KeptEvent | undefined> {
  return room.recent.find(eventId) ?? (await room.reader.find(eventId))
}
