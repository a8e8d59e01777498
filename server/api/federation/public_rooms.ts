import { getPublicRooms, queryPublicRooms } from '../../../shared/api/federation/public_rooms.ts'
import { type Route, route } from '../../http/route.ts'
import type { DirectoryWish, ForServers } from '../../rooms/index.ts'

interface Wish {
  readonly limit?: number
  readonly since?: string
  readonly include_all_networks?: boolean
  readonly third_party_instance_id?: string
}

const directoryWish = (wish: Wish): DirectoryWish => ({
  limit: wish.limit,
  since: wish.since,
  allNetworks: wish.include_all_networks,
  networkId: wish.include_all_networks === true ? undefined : wish.third_party_instance_id || undefined,
})

export function publicRoomsRoutes(rooms: Pick<ForServers, 'listPublished'>): readonly Route[] {
  async function list(wish: DirectoryWish) {
    const page = await rooms.listPublished(wish)
    return { ...page, chunk: [...page.chunk] }
  }

  return [
    route(getPublicRooms, ({ query }) => list(directoryWish(query))),

    route(queryPublicRooms, ({ body }) =>
      list({
        ...directoryWish(body),
        searchTerm: body.filter?.generic_search_term,
        roomTypes: body.filter?.room_types,
      }),
    ),
  ]
}
