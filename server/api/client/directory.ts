import {
  deleteRoomAlias,
  getLocalAliases,
  getRoomIdByAlias,
  setRoomAlias,
} from '../../../shared/api/client/directory.ts'
import { type Requester, requireNotSuspended } from '../../accounts/index.ts'
import { type Route, route } from '../../http/route.ts'
import type { Rooms } from '../../rooms/index.ts'

type Used = 'addAlias' | 'removeAlias' | 'locate' | 'listAliases'

const callerOf = ({ userId, appservice }: Requester) => ({ userId, appserviceId: appservice?.id })

/** @param serverName of this server, which knows the rooms that its aliases lead to */
export const directoryRoutes = (rooms: Pick<Rooms, Used>, serverName: string): readonly Route[] => [
  route(setRoomAlias, async ({ path, body, requester }) => {
    requireNotSuspended(requester)
    await rooms.addAlias({ alias: path.roomAlias, roomId: body.room_id, ...callerOf(requester) })
    return {}
  }),

  route(getRoomIdByAlias, async ({ path }) => {
    const { roomId, servers } = await rooms.locate(path.roomAlias)
    return { room_id: roomId, servers: servers.length > 0 ? [...new Set(servers)] : [serverName] }
  }),

  route(deleteRoomAlias, async ({ path, requester }) => {
    requireNotSuspended(requester)
    await rooms.removeAlias({ alias: path.roomAlias, isAdmin: requester.isAdmin, ...callerOf(requester) })
    return {}
  }),

  route(getLocalAliases, async ({ path, requester }) => ({
    aliases: [...(await rooms.listAliases(path.roomId, requester.userId))],
  })),
]
