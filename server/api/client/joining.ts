import { joinRoom, joinRoomById } from '../../../shared/api/client/joining.ts'
import type { JsonObject } from '../../../shared/matrix/json.ts'
import { requireNotSuspended } from '../../accounts/index.ts'
import { type Route, route } from '../../http/route.ts'
import type { Rooms } from '../../rooms/index.ts'

export const joiningRoutes = (rooms: Pick<Rooms, 'join' | 'locate'>): readonly Route[] => [
  route(joinRoomById, async ({ path: { roomId }, body, requester }) => {
    requireNotSuspended(requester)
    const { userId, isGuest } = requester
    await rooms.join({ roomId, userId, isGuest, reason: body.reason, ...claimIn(body) })
    return { room_id: roomId }
  }),

  route(joinRoom, async ({ path, query, body, requester }) => {
    requireNotSuspended(requester)
    const { userId, isGuest } = requester
    const { roomId, servers } = await rooms.locate(path.roomIdOrAlias)
    const via = [...(query.via ?? []), ...(query.server_name ?? []), ...servers]
    await rooms.join({ roomId, userId, isGuest, reason: body.reason, via, ...claimIn(body) })
    return { room_id: roomId }
  }),
]

/** An identity server's word that an address which was invited is the user's. */
function claimIn({
  third_party_signed: claim,
}: {
  third_party_signed?: (JsonObject & { sender: string }) | undefined
}) {
  if (!claim) return {}
  // `sender` is among what is signed.
  return { addressInvite: { sender: claim.sender, signed: claim } }
}
