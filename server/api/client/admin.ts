import {
  getAdminLockUser,
  getAdminSuspendUser,
  getWhoIs,
  setAdminLockUser,
  setAdminSuspendUser,
} from '../../../shared/api/client/admin.ts'
import { forbidden, notFound } from '../../../shared/matrix/errors.ts'
import type { Accounts, Device } from '../../accounts/index.ts'
import { type Route, route } from '../../http/route.ts'

function connectionsOf(device: Device) {
  if (device.lastSeenTs === null) return []
  return [
    {
      ip: device.lastSeenIp ?? '',
      last_seen: device.lastSeenTs,
      user_agent: device.lastSeenUserAgent ?? '',
    },
  ]
}

export const adminRoutes = (accounts: Accounts): readonly Route[] => [
  route(getWhoIs, async ({ path: { userId }, requester }) => {
    if (requester.userId !== userId && !requester.isAdmin) throw forbidden('Only administrators may look at others')
    if (!(await accounts.findAccount(userId))) throw notFound('There is no such user here')
    const devices = await accounts.listDevices(userId)
    return {
      user_id: userId,
      devices: Object.fromEntries(
        devices.map((device) => [device.deviceId, { sessions: [{ connections: connectionsOf(device) }] }]),
      ),
    }
  }),

  route(getAdminSuspendUser, async ({ path, requester }) => {
    const { isSuspended } = await accounts.moderationOf(path.userId, requester)
    return { suspended: isSuspended }
  }),

  route(setAdminSuspendUser, async ({ path, body, requester }) => {
    await accounts.moderate(path.userId, { isSuspended: body.suspended }, requester)
    return { suspended: body.suspended }
  }),

  route(getAdminLockUser, async ({ path, requester }) => {
    const { isLocked } = await accounts.moderationOf(path.userId, requester)
    return { locked: isLocked }
  }),

  route(setAdminLockUser, async ({ path, body, requester }) => {
    await accounts.moderate(path.userId, { isLocked: body.locked }, requester)
    return { locked: body.locked }
  }),
]
