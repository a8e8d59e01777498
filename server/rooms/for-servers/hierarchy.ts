/** A space for other servers: the room and its children, one level. Spec: data/api/server-server/space_hierarchy.yaml. */
import { notFound } from '../../../shared/matrix/errors.ts'
import { serverNameOf } from '../../../shared/matrix/identifiers.ts'
import type { RoomsCore } from '../core.ts'
import { membershipIn } from '../event.ts'
import { childrenOf, type HierarchyRoom, strippedChild } from '../hierarchy.ts'
import type { OpenRoom } from '../open-room.ts'
import type { HeldRoom, OpenRooms } from '../open-rooms.ts'
import { isFederated } from '../published-rooms.ts'
import { allowedRooms, summaryOf } from '../room-summary.ts'
import type { RoomSummary } from '../shown-outside.ts'
import { historyVisibilityIn } from '../visibility.ts'
import { type Asking, hasServer, isInRoom, isShutOut } from './admission.ts'

export interface ServerHierarchy {
  readonly room: HierarchyRoom
  readonly children: readonly RoomSummary[]
  readonly inaccessible_children: readonly string[]
}

/**
 * What a server may know of a room and of those right below it; children that this server is not in are left out.
 * @throws MatrixError 404 M_NOT_FOUND for a room that is not here, or is closed to the server
 */
export async function readHierarchyForServer(
  core: RoomsCore,
  rooms: OpenRooms,
  { server, roomId, suggestedOnly }: Asking & { readonly suggestedOnly: boolean },
): Promise<ServerHierarchy> {
  using held = await holdOurs(core, rooms, roomId)
  if (!held || !(await mayServerKnow(core, rooms, held.room, server))) {
    throw notFound('There is no such room')
  }
  const children = childrenOf(held.room, suggestedOnly)
  const known: RoomSummary[] = []
  const closed: string[] = []
  for (const { pdu } of children) {
    const childId = pdu.state_key ?? ''
    using child = await holdOurs(core, rooms, childId)
    if (!child) continue
    if (await mayServerKnow(core, rooms, child.room, server)) known.push(summaryOf(child.room))
    else closed.push(childId)
  }
  const room = { ...summaryOf(held.room), children_state: children.map(strippedChild) }
  return { room, children: known, inaccessible_children: closed }
}

/** Of a room that this server has left it does not know how it is now. */
async function holdOurs(core: RoomsCore, rooms: OpenRooms, roomId: string): Promise<HeldRoom | undefined> {
  const isOurs = await hasServer(core, rooms, { server: core.environment.serverName, roomId })
  return isOurs ? rooms.hold(roomId) : undefined
}

/** Whether some user of the server could read the room, join it or ask to: which one is for that server to tell. */
async function mayServerKnow(core: RoomsCore, rooms: OpenRooms, room: OpenRoom, server: string): Promise<boolean> {
  const { state, servers } = room.visible
  // Into a room that is not federated nobody of another server can come.
  if (isShutOut(room, server) || !isFederated(state)) return false
  if (servers.has(server)) return true
  if (historyVisibilityIn(state.get('m.room.history_visibility')) === 'world_readable') return true
  const rule = state.get('m.room.join_rules')?.pdu.content.join_rule
  if (rule === 'public') return true
  if (rule === 'knock' && room.rules.knocking) return true
  if (rule === 'knock_restricted' && room.rules.knockRestricted) return true
  for (const [userId, event] of state.ofType('m.room.member')) {
    if (serverNameOf(userId) === server && membershipIn(event) === 'invite') return true
  }
  for (const roomId of allowedRooms(room)) {
    if (!(await hasServer(core, rooms, { server, roomId }))) continue
    using held = await holdOurs(core, rooms, roomId)
    if (held && isInRoom(held.room, server)) return true
  }
  return false
}
