import {
  getDelayedEvent,
  getDelayedEvents,
  manageDelayedEvent,
  scheduleDelayedEvent,
  updateDelayedEvent,
} from '../../../shared/api/client/delayed-events-msc4140.ts'
import { type Route, route } from '../../http/route.ts'
import type { Rooms } from '../../rooms/index.ts'

export const delayedEventsRoutes = ({ delayed }: Pick<Rooms, 'delayed'>): readonly Route[] => [
  route(scheduleDelayedEvent, async ({ path: { roomId, eventType, txnId }, query, body, requester }) => {
    return {
      delay_id: await delayed.schedule({
        roomId,
        requester,
        type: eventType,
        stateKey: body.state_key,
        content: body.content,
        delayMs: body.delay_ms,
        txnId,
        createdTs: requester.appservice && query.ts,
      }),
    }
  }),

  route(manageDelayedEvent, async ({ path, requester }) => {
    await delayed.manage(requester.userId, path.delayId, path.action)
    return {}
  }),

  route(updateDelayedEvent, async ({ path, body, requester }) => {
    await delayed.manage(requester.userId, path.delayId, body.action)
    return {}
  }),

  route(getDelayedEvent, async ({ path, requester }) => delayed.get(requester.userId, path.delayId)),

  route(getDelayedEvents, async ({ requester }) => ({
    delayed_events: [...(await delayed.list(requester.userId))],
  })),
]
