import { makeKnock, sendKnock } from '../../../shared/api/federation/knocks.ts'
import { Reply, type Route, route } from '../../http/route.ts'
import type { ForServers } from '../../rooms/index.ts'

export const knocksRoutes = (rooms: Pick<ForServers, 'draftMembership' | 'takeKnock'>): readonly Route[] => [
  route(makeKnock, async ({ path, query, requester }) => {
    const { roomVersion, event } = await rooms.draftMembership({
      server: requester.serverName,
      ...path,
      membership: 'knock',
      versions: query.ver,
    })
    return { room_version: roomVersion, event }
  }),

  route(sendKnock, async ({ path, body, requester }) => {
    const state = await rooms.takeKnock({ server: requester.serverName, ...path, json: body })
    return Reply.json(`{"knock_room_state":[${state.join(',')}]}`)
  }),
]
