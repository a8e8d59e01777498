import { ban, unban } from '../../../shared/api/client/banning.ts'
import { requireNotSuspended } from '../../accounts/index.ts'
import { type Route, route } from '../../http/route.ts'
import type { Rooms } from '../../rooms/index.ts'

export const banningRoutes = (rooms: Pick<Rooms, 'ban' | 'unban'>): readonly Route[] => [
  route(ban, async ({ path, body, requester }) => {
    requireNotSuspended(requester)
    await rooms.ban({ roomId: path.roomId, by: requester.userId, target: body.user_id, reason: body.reason })
    return {}
  }),

  route(unban, async ({ path, body, requester }) => {
    requireNotSuspended(requester)
    await rooms.unban({ roomId: path.roomId, by: requester.userId, target: body.user_id, reason: body.reason })
    return {}
  }),
]
