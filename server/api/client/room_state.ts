import { setRoomStateWithKey } from '../../../shared/api/client/room_state.ts'
import { type Route, route } from '../../http/route.ts'
import type { Rooms } from '../../rooms/index.ts'
import { scheduleByQuery } from './delay-in-query.ts'

export const roomStateRoutes = (rooms: Pick<Rooms, 'setState' | 'delayed'>): readonly Route[] => [
  route(setRoomStateWithKey, async ({ path: { roomId, eventType, stateKey }, query, body, requester }) => {
    const createdTs = requester.appservice && query.ts
    const event = { roomId, requester, type: eventType, stateKey, content: body, createdTs }
    const delayMs = query['org.matrix.msc4140.delay']
    if (delayMs !== undefined) return scheduleByQuery(rooms, { ...event, delayMs })
    return { event_id: await rooms.setState(event) }
  }),
]
