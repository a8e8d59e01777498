import { getRoomEvents } from '../../../shared/api/client/message_pagination.ts'
import { Reply, type Route, route } from '../../http/route.ts'
import type { Rooms } from '../../rooms/index.ts'
import { parseRoomEventFilter } from './room-event-filter.ts'
import { readerOf } from './rooms.ts'

export const messagePaginationRoutes = (rooms: Pick<Rooms, 'readPage'>): readonly Route[] => [
  route(getRoomEvents, async ({ path, query, requester }) => {
    const { start, end, chunk, state } = await rooms.readPage(readerOf(path, requester), {
      from: query.from,
      to: query.to,
      direction: query.dir === 'f' ? 'forward' : 'backward',
      limit: query.limit,
      filter: parseRoomEventFilter(query.filter),
    })
    const parts = [`"start":${JSON.stringify(start)}`, `"chunk":[${chunk.join(',')}]`]
    if (end !== undefined) parts.push(`"end":${JSON.stringify(end)}`)
    if (state) parts.push(`"state":[${state.join(',')}]`)
    return Reply.json(`{${parts.join(',')}}`)
  }),
]
