import { getEventByTimestamp } from '../../../shared/api/client/room_event_by_timestamp.ts'
import { type Route, route } from '../../http/route.ts'
import type { Rooms } from '../../rooms/index.ts'
import { readerOf } from './rooms.ts'

export const roomEventByTimestampRoutes = (rooms: Pick<Rooms, 'findEventByTime'>): readonly Route[] => [
  route(getEventByTimestamp, async ({ path, query, requester }) => {
    const { eventId, ts } = await rooms.findEventByTime(readerOf(path, requester), {
      ts: query.ts,
      direction: query.dir === 'f' ? 'forward' : 'backward',
    })
    return { event_id: eventId, origin_server_ts: ts }
  }),
]
