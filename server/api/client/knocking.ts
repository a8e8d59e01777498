import { knockRoom } from '../../../shared/api/client/knocking.ts'
import { requireNotSuspended } from '../../accounts/index.ts'
import { type Route, route } from '../../http/route.ts'
import type { Rooms } from '../../rooms/index.ts'

export const knockingRoutes = (rooms: Pick<Rooms, 'knock' | 'resolve'>): readonly Route[] => [
  route(knockRoom, async ({ path, body, requester }) => {
    requireNotSuspended(requester)
    const roomId = await rooms.resolve(path.roomIdOrAlias)
    await rooms.knock({ roomId, userId: requester.userId, reason: body.reason })
    return { room_id: roomId }
  }),
]
