import { knockRoom } from '../../../shared/api/client/knocking.ts'
import { requireNotSuspended } from '../../accounts/index.ts'
import { type Route, route } from '../../http/route.ts'
import type { Rooms } from '../../rooms/index.ts'

export const knockingRoutes = (rooms: Pick<Rooms, 'knock' | 'locate'>): readonly Route[] => [
  route(knockRoom, async ({ path, query, body, requester }) => {
    requireNotSuspended(requester)
    const { roomId, servers } = await rooms.locate(path.roomIdOrAlias)
    const via = [...(query.via ?? []), ...(query.server_name ?? []), ...servers]
    await rooms.knock({ roomId, userId: requester.userId, reason: body.reason, via })
    return { room_id: roomId }
  }),
]
