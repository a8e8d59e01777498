import { sendServerNotice } from '../../../shared/api/hearth/server-notices.ts'
import { missingParam } from '../../../shared/matrix/errors.ts'
import { type Route, route } from '../../http/route.ts'
import type { Rooms } from '../../rooms/index.ts'
import { requireAdmin } from './require-admin.ts'

/** For what an administrator has to say; the specification names types for limits only. */
const DEFAULT_TYPE = 'hearth.server_notice.message'
const LIMIT_REACHED = 'm.server_notice.usage_limit_reached'

export const serverNoticesRoutes = (rooms: Pick<Rooms, 'sendNotice'>): readonly Route[] => [
  route(sendServerNotice, async ({ body, requester }) => {
    requireAdmin(requester)
    const { user_id: userId, body: text, server_notice_type: type = DEFAULT_TYPE, ...rest } = body
    const { admin_contact, limit_type } = rest
    if (type === LIMIT_REACHED && (admin_contact === undefined || limit_type === undefined)) {
      throw missingParam('Such a notice has admin_contact and limit_type')
    }
    const content = {
      body: text,
      server_notice_type: type,
      ...(admin_contact !== undefined && { admin_contact }),
      ...(limit_type !== undefined && { limit_type }),
    }
    const { roomId, eventId } = await rooms.sendNotice({ userId, content })
    return { room_id: roomId, event_id: eventId }
  }),
]
