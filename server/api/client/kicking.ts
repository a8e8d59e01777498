import { kick } from '../../../shared/api/client/kicking.ts'
import { requireNotSuspended } from '../../accounts/index.ts'
import { type Route, route } from '../../http/route.ts'
import type { Rooms } from '../../rooms/index.ts'

export const kickingRoutes = (rooms: Pick<Rooms, 'kick'>): readonly Route[] => [
  route(kick, async ({ path, body, requester }) => {
    requireNotSuspended(requester)
    await rooms.kick({ roomId: path.roomId, by: requester.userId, target: body.user_id, reason: body.reason })
    return {}
  }),
]
