import { createRoom } from '../../../shared/api/client/create_room.ts'
import { requireNotSuspended } from '../../accounts/index.ts'
import { type Route, route } from '../../http/route.ts'
import type { Rooms } from '../../rooms/index.ts'

export const createRoomRoutes = (rooms: Pick<Rooms, 'createRoom'>): readonly Route[] => [
  route(createRoom, async ({ body, requester }) => {
    requireNotSuspended(requester)
    const wish = { ...body, creator: requester.userId, appserviceId: requester.appservice?.id }
    return { room_id: await rooms.createRoom(wish) }
  }),
]
