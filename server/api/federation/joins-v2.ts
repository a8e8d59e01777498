import { sendJoinV2 } from '../../../shared/api/federation/joins-v2.ts'
import { type Route, route } from '../../http/route.ts'
import type { ForServers } from '../../rooms/index.ts'
import { inPieces } from './json-answers.ts'

export const sendJoinRoutes = (rooms: Pick<ForServers, 'takeJoin'>): readonly Route[] => [
  route(sendJoinV2, async ({ path, query, body, requester }) =>
    inPieces(await rooms.takeJoin({ server: requester.serverName, ...path, json: body }, query.omit_members ?? false)),
  ),
]
