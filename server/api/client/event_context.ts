import { getEventContext } from '../../../shared/api/client/event_context.ts'
import { Reply, type Route, route } from '../../http/route.ts'
import type { Rooms } from '../../rooms/index.ts'
import { parseRoomEventFilter } from './room-event-filter.ts'
import { readerOf } from './rooms.ts'

export const eventContextRoutes = (rooms: Pick<Rooms, 'readContext'>): readonly Route[] => [
  route(getEventContext, async ({ path, query, requester }) => {
    const context = await rooms.readContext(readerOf(path, requester), {
      eventId: path.eventId,
      limit: query.limit,
      filter: parseRoomEventFilter(query.filter),
    })
    const parts = [
      `"start":${JSON.stringify(context.start)}`,
      `"end":${JSON.stringify(context.end)}`,
      `"event":${context.event}`,
      `"events_before":[${context.eventsBefore.join(',')}]`,
      `"events_after":[${context.eventsAfter.join(',')}]`,
      `"state":[${context.state.join(',')}]`,
    ]
    return Reply.json(`{${parts.join(',')}}`)
  }),
]
