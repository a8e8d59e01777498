import { joinRoom, joinRoomById } from '../../../shared/api/client/joining.ts'
import { requireNotSuspended } from '../../accounts/index.ts'
import { type Route, route } from '../../http/route.ts'
import type { Rooms } from '../../rooms/index.ts'

export const joiningRoutes = (rooms: Pick<Rooms, 'join' | 'resolve'>): readonly Route[] => [
  route(joinRoomById, async ({ path: { roomId }, body, requester }) => {
    requireNotSuspended(requester)
    await rooms.join({ roomId, userId: requester.userId, reason: body.reason, isGuest: requester.isGuest })
    return { room_id: roomId }
  }),

  route(joinRoom, async ({ path, body, requester }) => {
    requireNotSuspended(requester)
    const roomId = await rooms.resolve(path.roomIdOrAlias)
    await rooms.join({ roomId, userId: requester.userId, reason: body.reason, isGuest: requester.isGuest })
    return { room_id: roomId }
  }),
]
