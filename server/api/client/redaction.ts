import { redactEvent } from '../../../shared/api/client/redaction.ts'
import { type Route, route } from '../../http/route.ts'
import type { Rooms } from '../../rooms/index.ts'

export const redactionRoutes = (rooms: Pick<Rooms, 'redact'>): readonly Route[] => [
  route(redactEvent, async ({ path: { roomId, eventId, txnId }, body, requester }) => ({
    event_id: await rooms.redact({ roomId, requester, txnId, eventId, reason: body.reason }),
  })),
]
