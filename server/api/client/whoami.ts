import { getTokenOwner } from '../../../shared/api/client/whoami.ts'
import { type Route, route } from '../../http/route.ts'

export const whoamiRoutes = (): readonly Route[] => [
  route(getTokenOwner, async ({ requester }) => ({
    user_id: requester.userId,
    ...(requester.deviceId === null ? {} : { device_id: requester.deviceId }),
    is_guest: requester.isGuest,
  })),
]
