import { sendMessage } from '../../../shared/api/client/room_send.ts'
import { type Route, route } from '../../http/route.ts'
import type { Rooms } from '../../rooms/index.ts'
import { scheduleByQuery } from './delay-in-query.ts'

export const roomSendRoutes = (rooms: Pick<Rooms, 'send' | 'delayed'>): readonly Route[] => [
  route(sendMessage, async ({ path: { roomId, eventType, txnId }, query, body, requester }) => {
    const createdTs = requester.appservice && query.ts
    const event = { roomId, requester, type: eventType, txnId, content: body, createdTs }
    const delayMs = query['org.matrix.msc4140.delay']
    if (delayMs !== undefined) return scheduleByQuery(rooms, { ...event, delayMs })
    return { event_id: await rooms.send(event) }
  }),
]
