import { sendInviteV1 } from '../../../shared/api/federation/invites-v1.ts'
import { type Route, route } from '../../http/route.ts'
import { isJsonObject } from '../../protocol/json.ts'
import type { Json, JsonObject } from '../../protocol/pdu.ts'
import type { ForServers } from '../../rooms/index.ts'

export const inviteV1Routes = (rooms: Pick<ForServers, 'receiveInviteV1'>): readonly Route[] => [
  route(sendInviteV1, async ({ path, body, requester }) => {
    const event = await rooms.receiveInviteV1({
      ...path,
      event: body,
      strippedState: toldIn(body),
      origin: requester.serverName,
    })
    return [200, { event }]
  }),
]

/** What the invited user may see of the room. */
function toldIn({ unsigned }: JsonObject): readonly Json[] {
  const told = isJsonObject(unsigned) ? unsigned.invite_room_state : undefined
  return Array.isArray(told) ? told : []
}
