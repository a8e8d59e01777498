import { getOneEvent } from '../../../shared/api/client/old_sync.ts'
import { Reply, type Route, route } from '../../http/route.ts'
import type { Rooms } from '../../rooms/index.ts'

export const oldSyncRoutes = (rooms: Pick<Rooms, 'readEventAnywhere'>): readonly Route[] => [
  route(getOneEvent, async ({ path, requester: { userId, deviceId } }) =>
    Reply.json(await rooms.readEventAnywhere({ userId, deviceId }, path.eventId)),
  ),
]
