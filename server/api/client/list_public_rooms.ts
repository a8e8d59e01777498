import {
  getPublicRooms,
  getRoomVisibilityOnDirectory,
  queryPublicRooms,
  setRoomVisibilityOnDirectory,
} from '../../../shared/api/client/list_public_rooms.ts'
import { requireNotSuspended } from '../../accounts/index.ts'
import { type Route, route } from '../../http/route.ts'
import type { DirectoryPage, DirectoryWish, Rooms } from '../../rooms/index.ts'

type Used = 'listPublished' | 'listPublishedElsewhere' | 'isPublished' | 'setPublished'

export function listPublicRoomsRoutes(rooms: Pick<Rooms, Used>, serverName: string): readonly Route[] {
  async function list(server: string | undefined, wish: DirectoryWish) {
    const isOurs = server === undefined || server === serverName
    const page: DirectoryPage = isOurs
      ? await rooms.listPublished(wish)
      : await rooms.listPublishedElsewhere(server, wish)
    return { ...page, chunk: [...page.chunk] }
  }

  return [
    route(getRoomVisibilityOnDirectory, async ({ path }) => ({
      visibility: (await rooms.isPublished(path.roomId)) ? ('public' as const) : ('private' as const),
    })),

    route(setRoomVisibilityOnDirectory, async ({ path, body, requester }) => {
      requireNotSuspended(requester)
      await rooms.setPublished({
        roomId: path.roomId,
        userId: requester.userId,
        isAdmin: requester.isAdmin,
        isPublished: body.visibility !== 'private',
      })
      return {}
    }),

    route(getPublicRooms, async ({ query }) => list(query.server, { limit: query.limit, since: query.since })),

    route(queryPublicRooms, async ({ query, body }) =>
      list(query.server, {
        limit: body.limit,
        since: body.since,
        searchTerm: body.filter?.generic_search_term,
        roomTypes: body.filter?.room_types,
        networkId: body.include_all_networks === true ? undefined : body.third_party_instance_id || undefined,
        allNetworks: body.include_all_networks,
      }),
    ),
  ]
}
