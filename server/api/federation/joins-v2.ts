import { sendJoinV2 } from '../../../shared/api/federation/joins-v2.ts'
import { type Route, route } from '../../http/route.ts'
import type { Environment } from '../../observe/environment.ts'
import type { ForServers } from '../../rooms/index.ts'
import { inPieces } from './json-answers.ts'

export const sendJoinRoutes = (rooms: Pick<ForServers, 'takeJoin'>, { logger }: Environment): readonly Route[] => [
  route(sendJoinV2, async ({ path, query, body, requester }) => {
    const sent = { server: requester.serverName, ...path, json: body }
    return inPieces(await rooms.takeJoin(sent, query.omit_members ?? false), logger)
  }),
]
