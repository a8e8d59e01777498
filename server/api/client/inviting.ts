import { inviteUser } from '../../../shared/api/client/inviting.ts'
import { requireNotSuspended } from '../../accounts/index.ts'
import { type Route, route } from '../../http/route.ts'
import type { Rooms } from '../../rooms/index.ts'

export const invitingRoutes = (rooms: Pick<Rooms, 'invite'>): readonly Route[] => [
  route(inviteUser, async ({ path, body, requester }) => {
    requireNotSuspended(requester)
    await rooms.invite({ roomId: path.roomId, by: requester.userId, target: body.user_id, reason: body.reason })
    return {}
  }),
]
