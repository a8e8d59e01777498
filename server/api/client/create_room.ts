import { createRoom } from '../../../shared/api/client/create_room.ts'
import { type Route, route } from '../../http/route.ts'
import type { Rooms } from '../../rooms/index.ts'

export const createRoomRoutes = (rooms: Pick<Rooms, 'createRoom'>): readonly Route[] => [
  route(createRoom, async ({ body, requester }) => ({
    room_id: await rooms.createRoom({ ...body, creator: requester.userId, appserviceId: requester.appservice?.id }),
  })),
]
