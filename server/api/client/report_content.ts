import { reportEvent, reportRoom, reportUser } from '../../../shared/api/client/report_content.ts'
import { serverNameOf } from '../../../shared/matrix/identifiers.ts'
import type { Accounts } from '../../accounts/index.ts'
import { type Route, route } from '../../http/route.ts'
import type { Reports } from '../../policy/index.ts'
import type { Rooms } from '../../rooms/index.ts'
import { readerOf } from './rooms.ts'

/** Rooms and users are reported whether they are known here or not, so that nobody learns which ones there are. */
export const reportContentRoutes = ({
  reports,
  rooms,
  accounts,
  serverName,
}: {
  reports: Reports
  rooms: Pick<Rooms, 'readReportable'>
  accounts: Pick<Accounts, 'findAccount'>
  serverName: string
}): readonly Route[] => [
  route(reportRoom, async ({ path, body, requester }) => {
    await reports.add({ by: requester.userId, roomId: path.roomId, reason: body.reason })
    return {}
  }),

  route(reportEvent, async ({ path: { roomId, eventId }, body, requester }) => {
    const { sender, json } = await rooms.readReportable(readerOf({ roomId }, requester), eventId)
    await reports.add({ by: requester.userId, roomId, eventId, userId: sender, reason: body.reason ?? '', event: json })
    return {}
  }),

  route(reportUser, async ({ path: { userId }, body, requester }) => {
    const isNobody = serverNameOf(userId) === serverName && !(await accounts.findAccount(userId))
    if (!isNobody) await reports.add({ by: requester.userId, userId, reason: body.reason })
    return {}
  }),
]
