import { makeLeave } from '../../../shared/api/federation/leaving-v1.ts'
import { type Route, route } from '../../http/route.ts'
import type { ForServers } from '../../rooms/index.ts'

export const makeLeaveRoutes = (rooms: Pick<ForServers, 'draftMembership'>): readonly Route[] => [
  route(makeLeave, async ({ path, requester }) => {
    const { roomVersion, event } = await rooms.draftMembership({
      server: requester.serverName,
      ...path,
      membership: 'leave',
    })
    return { room_version: roomVersion, event }
  }),
]
