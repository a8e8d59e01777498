import {
  deleteRoomAlias,
  getLocalAliases,
  getRoomIdByAlias,
  setRoomAlias,
} from '../../../shared/api/client/directory.ts'
import { type Route, route } from '../../http/route.ts'
import type { Rooms } from '../../rooms/index.ts'

type Used = 'addAlias' | 'removeAlias' | 'resolve' | 'listAliases'

/** @param serverName of this server, which knows the rooms that its aliases lead to */
export const directoryRoutes = (rooms: Pick<Rooms, Used>, serverName: string): readonly Route[] => [
  route(setRoomAlias, async ({ path, body, requester }) => {
    await rooms.addAlias({ alias: path.roomAlias, roomId: body.room_id, userId: requester.userId })
    return {}
  }),

  route(getRoomIdByAlias, async ({ path }) => ({
    room_id: await rooms.resolve(path.roomAlias),
    servers: [serverName],
  })),

  route(deleteRoomAlias, async ({ path, requester }) => {
    await rooms.removeAlias({ alias: path.roomAlias, userId: requester.userId, isAdmin: requester.isAdmin })
    return {}
  }),

  route(getLocalAliases, async ({ path, requester }) => ({
    aliases: [...(await rooms.listAliases(path.roomId, requester.userId))],
  })),
]
