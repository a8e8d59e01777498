import { getEventAuth } from '../../../shared/api/federation/event_auth.ts'
import { type Route, route } from '../../http/route.ts'
import type { Environment } from '../../observe/environment.ts'
import type { ForServers } from '../../rooms/index.ts'
import { inPieces } from './json-answers.ts'

export const eventAuthRoutes = (
  rooms: Pick<ForServers, 'readEventAuth'>,
  { logger }: Environment,
): readonly Route[] => [
  route(getEventAuth, async ({ path, requester }) =>
    inPieces(await rooms.readEventAuth({ server: requester.serverName, ...path }), logger),
  ),
]
