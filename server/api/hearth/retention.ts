import { getRetention, purgeHistory, setRetention } from '../../../shared/api/hearth/retention.ts'
import { type Route, route } from '../../http/route.ts'
import type { Rooms } from '../../rooms/index.ts'
import { requireAdmin } from './require-admin.ts'

export const retentionRoutes = (rooms: Pick<Rooms, 'retention' | 'purgeHistory'>): readonly Route[] => [
  route(getRetention, async ({ requester }) => {
    requireAdmin(requester)
    const { defaultMs, shortestMs, longestMs } = rooms.retention.settings
    return { default_lifetime: defaultMs, shortest_lifetime: shortestMs, longest_lifetime: longestMs }
  }),

  route(setRetention, async ({ body, requester }) => {
    requireAdmin(requester)
    await rooms.retention.set({
      defaultMs: body.default_lifetime,
      shortestMs: body.shortest_lifetime,
      longestMs: body.longest_lifetime,
    })
    return {}
  }),

  route(purgeHistory, async ({ path, body, requester }) => {
    requireAdmin(requester)
    await rooms.purgeHistory(path.roomId, body.event_id)
    return {}
  }),
]
