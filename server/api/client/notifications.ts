import { getNotifications } from '../../../shared/api/client/notifications.ts'
import { Reply, type Route, route } from '../../http/route.ts'
import type { Notifications } from '../../push/index.ts'

export const notificationRoutes = (notifications: Notifications): readonly Route[] => [
  route(getNotifications, async ({ query, requester }) => {
    const { userId, deviceId } = requester
    return Reply.json(await notifications.list({ ...query, userId, deviceId }))
  }),
]
