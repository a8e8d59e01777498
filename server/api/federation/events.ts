import { getEvent, getEventByTimestamp, getRoomState, getRoomStateIds } from '../../../shared/api/federation/events.ts'
import { type Route, route } from '../../http/route.ts'
import type { Environment } from '../../observe/environment.ts'
import type { ForServers } from '../../rooms/index.ts'
import { inPieces, transactionOf } from './json-answers.ts'

type Used = 'readStateAt' | 'readStateIdsAt' | 'findEvent' | 'findByTime'

export const eventsRoutes = (rooms: Pick<ForServers, Used>, environment: Environment): readonly Route[] => [
  route(getRoomState, async ({ path, query, requester }) => {
    const asking = { server: requester.serverName, roomId: path.roomId, eventId: query.event_id }
    return inPieces(await rooms.readStateAt(asking), environment.logger)
  }),

  route(getRoomStateIds, async ({ path, query, requester }) => {
    const asking = { server: requester.serverName, roomId: path.roomId, eventId: query.event_id }
    return inPieces(await rooms.readStateIdsAt(asking), environment.logger)
  }),

  route(getEvent, async ({ path, requester }) => {
    const pdu = await rooms.findEvent(requester.serverName, path.eventId)
    return transactionOf(environment.serverName, environment.clock.now(), [pdu])
  }),

  route(getEventByTimestamp, async ({ path, query, requester }) => {
    const found = await rooms.findByTime({
      server: requester.serverName,
      roomId: path.roomId,
      ts: query.ts,
      direction: query.dir === 'f' ? 'forward' : 'backward',
    })
    return { event_id: found.eventId, origin_server_ts: found.ts }
  }),
]
