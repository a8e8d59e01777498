import { getReports, removeReport } from '../../../shared/api/hearth/reports.ts'
import { type Route, route } from '../../http/route.ts'
import type { Reports } from '../../policy/index.ts'
import type { JsonObject } from '../../protocol/pdu.ts'
import { requireAdmin } from './require-admin.ts'

export const reportsRoutes = (reports: Reports): readonly Route[] => [
  route(getReports, async ({ query, requester }) => {
    requireAdmin(requester)
    const page = await reports.list(query)
    return {
      reports: page.reports.map(({ reportId, kind, by, roomId, eventId, userId, reason, event, receivedTs }) => ({
        report_id: reportId,
        kind,
        by,
        ...(roomId !== null && { room_id: roomId }),
        ...(eventId !== null && { event_id: eventId }),
        ...(userId !== null && { user_id: userId }),
        reason,
        ...(event !== null && { event: JSON.parse(event) as JsonObject }),
        received_ts: receivedTs,
      })),
      ...(page.next !== undefined && { next: page.next }),
    }
  }),

  route(removeReport, async ({ path, requester }) => {
    requireAdmin(requester)
    await reports.remove(path.reportId)
    return {}
  }),
]
