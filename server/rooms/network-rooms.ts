/**
 * Rooms that application services list under their networks, apart from the directory of this server's own.
 * Spec: application-service-api §Published room directories.
 */
import { forbidden } from '../../shared/matrix/errors.ts'
import { put, remove } from '../store/index.ts'
import type { RoomsCore } from './core.ts'
import type { OpenRooms } from './open-rooms.ts'
import { isFederated, type PublicRoom, publicRoomOf } from './published-rooms.ts'
import { type NetworkRoomRow, networkRooms } from './store.ts'

/** So many rooms of one network are listed; their summaries are made when they are asked for. */
const MAX_ROOMS_OF_NETWORK = 2_000

const keyOf = (instanceId: string, roomId: string): string => JSON.stringify([instanceId, roomId])

/**
 * Lists a room under a network, or takes it off.
 * @throws MatrixError 404 M_NOT_FOUND for a room that this server does not know, 403 M_FORBIDDEN where the list is full
 */
export async function setNetworkListing(
  core: RoomsCore,
  rooms: OpenRooms,
  setting: { readonly instanceId: string; readonly roomId: string; readonly isListed: boolean },
): Promise<void> {
  const { instanceId, roomId, isListed } = setting
  const key = keyOf(instanceId, roomId)
  if (!isListed) {
    await core.store.commit(() => [remove(networkRooms, key)])
    return
  }
  await rooms.use(roomId, async () => {
    await core.store.exclusive(`rooms network ${instanceId}`, async () => {
      if (await core.store.home.get(networkRooms, key)) return
      if ((await rowsOf(core, instanceId)).length >= MAX_ROOMS_OF_NETWORK) {
        throw forbidden(`A network has at most ${MAX_ROOMS_OF_NETWORK} listed rooms`)
      }
      await core.store.commit(() => [put(networkRooms, { key, instanceId, roomId })])
    })
  })
}

/** @param wish.networkId the network's; without it rooms of all networks, each once */
export async function listNetworkRooms(
  core: RoomsCore,
  rooms: OpenRooms,
  wish: { readonly networkId?: string | undefined; readonly isForServer?: boolean },
): Promise<readonly PublicRoom[]> {
  const roomIds = new Set((await rowsOf(core, wish.networkId)).map(({ roomId }) => roomId))
  const listed: PublicRoom[] = []
  for (const roomId of roomIds) {
    await rooms.use(roomId, ({ visible: { state, joined } }) => {
      if (wish.isForServer === true && !isFederated(state)) return
      listed.push(publicRoomOf(roomId, state, joined.size))
    })
  }
  return listed.sort((a, b) => b.num_joined_members - a.num_joined_members)
}

function rowsOf(core: RoomsCore, instanceId: string | undefined): Promise<readonly NetworkRoomRow[]> {
  return core.store.home.range(networkRooms, {
    index: 'instanceId',
    ...(instanceId !== undefined && { from: instanceId, to: `${instanceId}\u0000` }),
  })
}
