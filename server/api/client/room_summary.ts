import { getRoomSummary } from '../../../shared/api/client/room_summary.ts'
import { type Route, route } from '../../http/route.ts'
import type { Rooms } from '../../rooms/index.ts'

export const roomSummaryRoutes = (rooms: Pick<Rooms, 'readSummary'>): readonly Route[] => [
  route(getRoomSummary, async ({ path, query, requester }) => {
    const { allowed_room_ids: allowed, ...summary } = await rooms.readSummary({
      ...path,
      userId: requester.userId,
      via: query.via ?? [],
    })
    return {
      ...summary,
      ...(allowed && { allowed_room_ids: [...allowed] }),
      // Clients of MSC3266 look for the version by its unstable name.
      ...(summary.room_version !== undefined && { 'im.nheko.summary.room_version': summary.room_version }),
      ...(summary.encryption !== undefined && { 'im.nheko.summary.encryption': summary.encryption }),
    }
  }),
]
