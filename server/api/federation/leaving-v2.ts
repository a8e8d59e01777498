import { sendLeaveV2 } from '../../../shared/api/federation/leaving-v2.ts'
import { type Route, route } from '../../http/route.ts'
import type { ForServers } from '../../rooms/index.ts'

export const sendLeaveRoutes = (rooms: Pick<ForServers, 'takeLeave'>): readonly Route[] => [
  route(sendLeaveV2, async ({ path, body, requester }) => {
    await rooms.takeLeave({ server: requester.serverName, ...path, json: body })
    return {}
  }),
]
