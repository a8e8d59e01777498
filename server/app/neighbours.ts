import { serverNameOf } from '../../shared/matrix/identifiers.ts'
import type { Elsewhere, Neighbours } from '../e2ee/index.ts'
import type { Environment } from '../observe/environment.ts'
import type { RoomsForReaders } from '../rooms/index.ts'

type RoomsOfNeighbours = Pick<
  RoomsForReaders,
  'memberships' | 'serversIn' | 'roomsWithServer' | 'joinedUsers' | 'onEvent'
>

/** What `e2ee/` is told of rooms. @param rooms to be asked only once they are there */
export function neighboursIn(
  rooms: () => RoomsOfNeighbours,
  home: string,
  isBlocked: (serverName: string) => boolean,
): Neighbours {
  async function serversOf(userId: string, exceptRoom?: string): Promise<Set<string>> {
    const servers = new Set<string>()
    for (const { roomId, membership } of (await rooms().memberships(userId)).values()) {
      if (membership !== 'join' || roomId === exceptRoom) continue
      for (const server of await rooms().serversIn(roomId)) if (!isBlocked(server)) servers.add(server)
    }
    servers.delete(home)
    return servers
  }

  return {
    isBlocked,
    serversOf: (userId) => serversOf(userId),

    async newServersOf(userId, roomId) {
      const inRoom = await rooms().serversIn(roomId)
      const known = await serversOf(userId, roomId)
      return new Set([...inRoom].filter((server) => server !== home && !known.has(server) && !isBlocked(server)))
    },

    async near(serverName, userIds) {
      const near = new Set<string>()
      for (const roomId of await rooms().roomsWithServer(serverName)) {
        if (near.size === userIds.size) break
        const joined = await rooms().joinedUsers(roomId)
        const found = [...userIds].filter((userId) => joined.has(userId))
        if (found.length === 0 || !hasUserOf(home, joined)) continue
        for (const userId of found) near.add(userId)
      }
      return near
    },
  }
}

/** Tells `e2ee/` who comes into rooms and who goes. @returns ends that */
export function followMembers(deps: {
  readonly environment: Environment
  readonly rooms: RoomsOfNeighbours
  readonly elsewhere: Pick<Elsewhere, 'cameInto' | 'parted'>
}): () => void {
  const { environment, rooms, elsewhere } = deps
  const { serverName: home, logger } = environment
  const isLocal = (userId: string): boolean => serverNameOf(userId) === home

  async function left(userId: string, roomId: string): Promise<void> {
    if (!isLocal(userId)) return elsewhere.parted([userId])
    // Whoever of ours goes may have been the last who shared a room with those who stay.
    const joined = await rooms.joinedUsers(roomId)
    if (!hasUserOf(home, joined)) await elsewhere.parted(joined)
  }

  return rooms.onEvent(({ event: { pdu, replaces }, roomId }) => {
    const { type, state_key: userId } = pdu
    if (type !== 'm.room.member' || userId === undefined) return
    const isJoined = pdu.content.membership === 'join'
    if (isJoined === (replaces?.content.membership === 'join')) return
    if (!isJoined) {
      left(userId, roomId).catch((error: unknown) => logger.error({ event: 'e2ee.parting-failed', roomId, error }))
    } else if (isLocal(userId)) elsewhere.cameInto(userId, roomId)
  })
}

function hasUserOf(server: string, userIds: ReadonlySet<string>): boolean {
  for (const userId of userIds) if (serverNameOf(userId) === server) return true
  return false
}
