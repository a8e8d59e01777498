import { forgetRoom, leaveRoom } from '../../../shared/api/client/leaving.ts'
import { type Route, route } from '../../http/route.ts'
import type { Rooms } from '../../rooms/index.ts'

export const leavingRoutes = (rooms: Pick<Rooms, 'leave' | 'forget'>): readonly Route[] => [
  route(leaveRoom, async ({ path, body, requester }) => {
    await rooms.leave({ roomId: path.roomId, userId: requester.userId, reason: body.reason })
    return {}
  }),

  route(forgetRoom, async ({ path, requester }) => {
    await rooms.forget(path.roomId, requester.userId)
    return {}
  }),
]
