import { getThreadRoots } from '../../../shared/api/client/threads_list.ts'
import { Reply, type Route, route } from '../../http/route.ts'
import type { Rooms } from '../../rooms/index.ts'
import { readerOf } from './rooms.ts'

export const threadsListRoutes = (rooms: Pick<Rooms, 'readThreads'>): readonly Route[] => [
  route(getThreadRoots, async ({ path, query, requester }) => {
    const { chunk, nextBatch } = await rooms.readThreads(readerOf(path, requester), {
      participatedOnly: query.include === 'participated',
      limit: query.limit,
      from: query.from,
    })
    const next = nextBatch === undefined ? '' : `,"next_batch":${JSON.stringify(nextBatch)}`
    return Reply.json(`{"chunk":[${chunk.join(',')}]${next}}`)
  }),
]
