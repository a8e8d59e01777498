import { sendInviteV2 } from '../../../shared/api/federation/invites-v2.ts'
import { type Route, route } from '../../http/route.ts'
import type { ForServers } from '../../rooms/index.ts'

export const inviteV2Routes = (rooms: Pick<ForServers, 'receiveInvite'>): readonly Route[] => [
  route(sendInviteV2, async ({ path, body, requester }) => ({
    event: await rooms.receiveInvite({
      ...path,
      roomVersion: body.room_version,
      event: body.event,
      strippedState: body.invite_room_state ?? [],
      origin: requester.serverName,
    }),
  })),
]
