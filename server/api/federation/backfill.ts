import { backfillRoom, getMissingPreviousEvents } from '../../../shared/api/federation/backfill.ts'
import { Reply, type Route, route } from '../../http/route.ts'
import type { Environment } from '../../observe/environment.ts'
import type { ForServers } from '../../rooms/index.ts'
import { transactionOf } from './json-answers.ts'

export const backfillRoutes = (
  rooms: Pick<ForServers, 'backfill' | 'listMissingEvents'>,
  environment: Environment,
): readonly Route[] => [
  route(backfillRoom, async ({ path, query, requester }) => {
    const wish = { server: requester.serverName, roomId: path.roomId, from: query.v, limit: query.limit }
    return transactionOf(environment.serverName, environment.clock.now(), await rooms.backfill(wish))
  }),

  route(getMissingPreviousEvents, async ({ path, body, requester }) => {
    const events = await rooms.listMissingEvents({
      server: requester.serverName,
      roomId: path.roomId,
      earliest: body.earliest_events,
      latest: body.latest_events,
      limit: body.limit,
      minDepth: body.min_depth,
    })
    return Reply.json(`{"events":[${events.join(',')}]}`)
  }),
]
