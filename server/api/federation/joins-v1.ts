import { makeJoin } from '../../../shared/api/federation/joins-v1.ts'
import { type Route, route } from '../../http/route.ts'
import type { ForServers } from '../../rooms/index.ts'

/** What a server knows that names no room version. */
const UNNAMED_VERSIONS = ['1']

export const makeJoinRoutes = (rooms: Pick<ForServers, 'draftMembership'>): readonly Route[] => [
  route(makeJoin, async ({ path, query, requester }) => {
    const { roomVersion, event } = await rooms.draftMembership({
      server: requester.serverName,
      ...path,
      membership: 'join',
      versions: query.ver ?? UNNAMED_VERSIONS,
    })
    return { room_version: roomVersion, event }
  }),
]
