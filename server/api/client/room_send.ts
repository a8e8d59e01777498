import { sendMessage } from '../../../shared/api/client/room_send.ts'
import { type Route, route } from '../../http/route.ts'
import type { Rooms } from '../../rooms/index.ts'

export const roomSendRoutes = (rooms: Pick<Rooms, 'send'>): readonly Route[] => [
  route(sendMessage, async ({ path: { roomId, eventType, txnId }, query, body, requester }) => ({
    event_id: await rooms.send({
      roomId,
      requester,
      type: eventType,
      txnId,
      content: body,
      createdTs: requester.appservice && query.ts,
    }),
  })),
]
