import { setRoomStateWithKey } from '../../../shared/api/client/room_state.ts'
import { type Route, route } from '../../http/route.ts'
import type { Rooms } from '../../rooms/index.ts'

export const roomStateRoutes = (rooms: Pick<Rooms, 'setState'>): readonly Route[] => [
  route(setRoomStateWithKey, async ({ path: { roomId, eventType, stateKey }, query, body, requester }) => ({
    event_id: await rooms.setState({
      roomId,
      requester,
      type: eventType,
      stateKey,
      content: body,
      createdTs: requester.appservice && query.ts,
    }),
  })),
]
