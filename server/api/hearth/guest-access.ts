import { getGuestAccess, setGuestAccess } from '../../../shared/api/hearth/guest-access.ts'
import type { GuestAccess } from '../../household/index.ts'
import { type Route, route } from '../../http/route.ts'
import { requireAdmin } from './require-admin.ts'

export const guestAccessRoutes = (guestAccess: GuestAccess): readonly Route[] => [
  route(getGuestAccess, async ({ requester }) => {
    requireAdmin(requester)
    return { allowed: await guestAccess.isAllowed(), guests: await guestAccess.count() }
  }),

  route(setGuestAccess, async ({ body, requester }) => {
    requireAdmin(requester)
    await guestAccess.set(body.allowed)
    return {}
  }),
]
