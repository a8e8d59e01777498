/**
 * Which other servers are in a room since when, and what those that left it are still to hear of it. Written in the commit of
 * the event that brings the change, so that whatever is owed to them can be read from the events alone.
 */
import { serverNameOf } from '../../shared/matrix/identifiers.ts'
import { type Op, orderKey, put, remove } from '../store/index.ts'
import type { RoomEvent } from './contract.ts'
import type { RoomsCore } from './core.ts'
import { type KeptEvent, membershipIn } from './event.ts'
import type { Heads } from './heads.ts'
import { farewells, roomServerKey, roomServers } from './store.ts'

type Servers = Heads['servers']

const lists = new WeakMap<Servers, readonly string[]>()

/**
 * Whom an event concerns: the servers in the room after it, ours among them, and that of a user whom it takes out of the room.
 * The same list for all events between two changes of it.
 */
export function serversConcerned(event: RoomEvent, inRoom: Servers): readonly string[] {
  let list = lists.get(inRoom)
  if (!list) {
    list = [...inRoom.keys()]
    lists.set(inRoom, list)
  }
  const takenOut = serverTakenOut(event)
  return takenOut === undefined || inRoom.has(takenOut) ? list : [...list, takenOut]
}

/** Whether there is anybody to be told of what happens in the room. */
export function hasOtherServers({ servers }: Heads, serverName: string): boolean {
  return servers.size > (servers.has(serverName) ? 1 : 0)
}

/** The server of a user whom the event takes out of the room, or keeps out of it. */
export function serverTakenOut(event: RoomEvent): string | undefined {
  const { type, state_key: target } = event.pdu
  if (type !== 'm.room.member' || target === undefined) return undefined
  const membership = membershipIn(event)
  return membership === 'leave' || membership === 'ban' ? serverNameOf(target) : undefined
}

/**
 * Whether other servers are to have the event from us: one of our users', unless another server passes it on for us, or one that
 * came through us.
 */
export function isOwed(core: RoomsCore, event: KeptEvent): boolean {
  if (event.order === null || event.order <= 0 || event.isSoftFailed || event.isRejected) return false
  return core.isLocal(event.pdu.sender) ? !event.isHandedOver : event.isRelayed
}

/** @returns the writes for servers that come into the room with this event, or leave it */
export async function serverChangeOps(
  core: RoomsCore,
  { roomId }: { readonly roomId: string },
  event: KeptEvent,
  { before, after }: { readonly before: Servers; readonly after: Servers },
): Promise<(position: number) => readonly Op[]> {
  const own = core.environment.serverName
  const order = event.order ?? 0
  const came: string[] = []
  const left: { server: string; since: number }[] = []
  if (before !== after) {
    for (const server of after.keys()) if (server !== own && !before.has(server)) came.push(server)
    for (const server of before.keys()) {
      if (server === own || after.has(server)) continue
      const row = await core.store.home.get(roomServers, roomServerKey(roomId, server))
      // It came and went within one commit: then only its end concerns it.
      left.push({ server, since: row?.since ?? order - 1 })
    }
  }
  const kept = serverTakenOut(event)
  const isForOutsider = kept !== undefined && kept !== own && !before.has(kept) && !after.has(kept)
  if (isForOutsider && isOwed(core, event)) left.push({ server: kept, since: order - 1 })
  return (position) => [
    ...came.map((server) => put(roomServers, { key: roomServerKey(roomId, server), roomId, server, since: order })),
    ...left.flatMap(({ server, since }) => [
      remove(roomServers, roomServerKey(roomId, server)),
      put(farewells, {
        key: orderKey(roomServerKey(roomId, server), order),
        roomId,
        server,
        since,
        until: order,
        position,
      }),
    ]),
  ]
}
