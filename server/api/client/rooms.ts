import {
  getJoinedMembersByRoom,
  getMembersByRoom,
  getOneRoomEvent,
  getRoomState,
  getRoomStateWithKey,
} from '../../../shared/api/client/rooms.ts'
import type { Requester } from '../../accounts/index.ts'
import { Reply, type Route, route } from '../../http/route.ts'
import type { Reader, Rooms } from '../../rooms/index.ts'

type Used = 'readEvent' | 'readState' | 'readStateEvent' | 'readMembers' | 'readJoinedMembers'

/** Who reads which room. */
export const readerOf = ({ roomId }: { readonly roomId: string }, { userId, deviceId }: Requester): Reader => ({
  roomId,
  userId,
  deviceId,
})

export const roomsRoutes = (rooms: Pick<Rooms, Used>): readonly Route[] => [
  route(getOneRoomEvent, async ({ path, requester }) =>
    Reply.json(await rooms.readEvent(readerOf(path, requester), path.eventId)),
  ),

  route(getRoomStateWithKey, async ({ path, query, requester }) =>
    Reply.json(
      await rooms.readStateEvent(readerOf(path, requester), {
        type: path.eventType,
        stateKey: path.stateKey,
        format: query.format ?? 'content',
      }),
    ),
  ),

  route(getRoomState, async ({ path, requester }) =>
    Reply.json(`[${(await rooms.readState(readerOf(path, requester))).join(',')}]`),
  ),

  route(getMembersByRoom, async ({ path, query, requester }) => {
    const members = await rooms.readMembers(readerOf(path, requester), {
      at: query.at,
      membership: query.membership,
      notMembership: query.not_membership,
    })
    return Reply.json(`{"chunk":[${members.join(',')}]}`)
  }),

  route(getJoinedMembersByRoom, async ({ path, requester }) => ({
    joined: await rooms.readJoinedMembers({ ...readerOf(path, requester), appserviceId: requester.appservice?.id }),
  })),
]
