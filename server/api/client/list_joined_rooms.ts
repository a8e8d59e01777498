import { getJoinedRooms } from '../../../shared/api/client/list_joined_rooms.ts'
import { type Route, route } from '../../http/route.ts'
import type { Rooms } from '../../rooms/index.ts'

export const listJoinedRoomsRoutes = (rooms: Pick<Rooms, 'memberships'>): readonly Route[] => [
  route(getJoinedRooms, async ({ requester }) => {
    const memberships = [...(await rooms.memberships(requester.userId)).values()]
    return { joined_rooms: memberships.filter(({ membership }) => membership === 'join').map(({ roomId }) => roomId) }
  }),
]
