import { serverNameOf } from '../../shared/matrix/identifiers.ts'
import type { RoomsForReaders } from './contract.ts'
import type { RoomsCore } from './core.ts'
import { isShutOut } from './for-servers/admission.ts'
import { blocksInvites } from './invite-permission.ts'
import type { KeptMembership } from './memberships.ts'
import type { OpenRooms } from './open-rooms.ts'
import { KeptRoomView } from './room-view.ts'
import { roomIndex, roomServers } from './store.ts'

type Memberships = ReadonlyMap<string, KeptMembership>

/** Leaves some memberships out. The maps are never changed, so that each is looked through once. */
function remembering(isShown: (entry: KeptMembership) => boolean): (all: Memberships) => Memberships {
  const remembered = new WeakMap<Memberships, Memberships>()
  return (all) => {
    let rest = remembered.get(all)
    if (!rest) {
      rest = new Map([...all].filter(([, entry]) => isShown(entry)))
      if (rest.size === all.size) rest = all
      remembered.set(all, rest)
    }
    return rest
  }
}
const withoutForgotten = remembering(({ isForgotten }) => !isForgotten)
const onlyForgotten = remembering(({ isForgotten }) => isForgotten)
const withoutInvites = remembering(({ membership }) => membership !== 'invite')

/** The reading half of the door. All that waits does so until memory has caught up with what the store shows. */
export function roomsForReaders(core: RoomsCore, rooms: OpenRooms): RoomsForReaders {
  const { announcer, memberships } = core

  async function membershipsOf(userId: string): Promise<ReadonlyMap<string, KeptMembership>> {
    if (!announcer.isCaughtUp) await announcer.caughtUp()
    return memberships.of(userId)
  }

  async function joinedUsers(roomId: string): Promise<ReadonlySet<string>> {
    if (!announcer.isCaughtUp) await announcer.caughtUp()
    const open = rooms.findOpen(roomId)
    if (open) return open.visible.joined
    const row = await core.store.home.get(roomIndex, roomId)
    if (!row) return new Set()
    if (!row.hadRemoteMembers) return memberships.joinedTo(roomId)
    return rooms.use(roomId, ({ visible }) => visible.joined)
  }

  async function roomsWithServer(serverName: string): Promise<readonly string[]> {
    const range = { index: 'server', from: serverName, to: `${serverName}\u0000` } as const
    return (await core.store.home.range(roomServers, range)).map(({ roomId }) => roomId)
  }

  async function joinedRooms(userId: string): Promise<readonly string[]> {
    if (core.isLocal(userId)) {
      return [...(await membershipsOf(userId)).values()]
        .filter(({ membership }) => membership === 'join')
        .map(({ roomId }) => roomId)
    }
    const joined: string[] = []
    for (const roomId of await roomsWithServer(serverNameOf(userId))) {
      if ((await joinedUsers(roomId)).has(userId)) joined.push(roomId)
    }
    return joined
  }

  async function* roomsSharedBy(userId: string, other: string): AsyncGenerator<string> {
    // Start from the one whose rooms are known without opening any.
    const [known, sought] = core.isLocal(userId) ? [userId, other] : [other, userId]
    const theirs = core.isLocal(sought) ? await membershipsOf(sought) : undefined
    for (const roomId of await joinedRooms(known)) {
      const isShared = theirs ? theirs.get(roomId)?.membership === 'join' : (await joinedUsers(roomId)).has(sought)
      if (isShared) yield roomId
    }
  }

  async function serversIn(roomId: string): Promise<ReadonlySet<string>> {
    const rows = await core.store.home.range(roomServers, { index: 'roomId', from: roomId, to: `${roomId}\u0000` })
    return new Set(rows.map(({ server }) => server))
  }

  return {
    async memberships(userId) {
      const blocks = await blocksInvites(core, userId)
      const known = withoutForgotten(await membershipsOf(userId))
      return blocks ? withoutInvites(known) : known
    },
    async forgottenMemberships(userId) {
      return onlyForgotten(await membershipsOf(userId))
    },
    async findMembership(userId, roomId) {
      return (await membershipsOf(userId)).get(roomId)
    },
    lastChange: (roomId) => core.changes.get(roomId) ?? 0,
    joinedUsers,
    serversIn,
    async serversAllowedIn(roomId) {
      const servers = await serversIn(roomId)
      if (servers.size === 0) return servers
      using held = await rooms.hold(roomId)
      const room = held?.room
      return room ? new Set([...servers].filter((server) => !isShutOut(room, server))) : servers
    },
    roomsWithServer,
    async shareRoom(userId, other) {
      for await (const _ of roomsSharedBy(userId, other)) return true
      return false
    },
    async sharedRooms(userId, other) {
      const shared: string[] = []
      for await (const roomId of roomsSharedBy(userId, other)) shared.push(roomId)
      return shared
    },
    async usersSharingRoomsWith(userId) {
      const users = new Set<string>()
      for (const roomId of await joinedRooms(userId)) for (const other of await joinedUsers(roomId)) users.add(other)
      users.delete(userId)
      return users
    },
    async open(roomId) {
      if (!announcer.isCaughtUp) await announcer.caughtUp()
      return rooms.use(roomId, (room) => new KeptRoomView(core, room))
    },
    onEvent: (listener) => announcer.onEvent(listener),
    onForgotten: (listener) => announcer.onForgotten(listener),
  }
}
