import {
  getRelatingEvents,
  getRelatingEventsWithRelType,
  getRelatingEventsWithRelTypeAndEventType,
} from '../../../shared/api/client/relations.ts'
import type { QueryOf } from '../../../shared/api/endpoint.ts'
import type { Requester } from '../../accounts/index.ts'
import { Reply, type Route, route } from '../../http/route.ts'
import type { Rooms } from '../../rooms/index.ts'
import { readerOf } from './rooms.ts'

interface Wish {
  readonly roomId: string
  readonly eventId: string
  readonly relType?: string
  readonly eventType?: string
}

export function relationsRoutes(rooms: Pick<Rooms, 'readRelations'>): readonly Route[] {
  async function read(wish: Wish, query: QueryOf<typeof getRelatingEvents>, requester: Requester): Promise<Reply> {
    const page = await rooms.readRelations(readerOf(wish, requester), {
      ...wish,
      from: query.from,
      to: query.to,
      limit: query.limit,
      direction: query.dir === 'f' ? 'forward' : 'backward',
      recurse: query.recurse,
    })
    const parts = [`"chunk":[${page.chunk.join(',')}]`]
    if (page.nextBatch !== undefined) parts.push(`"next_batch":${JSON.stringify(page.nextBatch)}`)
    if (page.prevBatch !== undefined) parts.push(`"prev_batch":${JSON.stringify(page.prevBatch)}`)
    if (page.recursionDepth !== undefined) parts.push(`"recursion_depth":${page.recursionDepth}`)
    return Reply.json(`{${parts.join(',')}}`)
  }

  return [
    route(getRelatingEvents, ({ path, query, requester }) => read(path, query, requester)),
    route(getRelatingEventsWithRelType, ({ path, query, requester }) => read(path, query, requester)),
    route(getRelatingEventsWithRelTypeAndEventType, ({ path, query, requester }) => read(path, query, requester)),
  ]
}
