import { getUserDevices } from '../../../shared/api/federation/user_devices.ts'
import type { E2ee } from '../../e2ee/index.ts'
import { type Route, route } from '../../http/route.ts'
import { requireUsersOf } from './users-of.ts'

export const userDevicesRoutes = (e2ee: Pick<E2ee, 'elsewhere'>, home: string): readonly Route[] => [
  // Of a user who is not there it is what it is of one without devices.
  route(getUserDevices, async ({ path: { userId } }) => {
    requireUsersOf(home, [userId])
    const { streamId, devices, master, selfSigning } = await e2ee.elsewhere.devicesOf(userId)
    return {
      user_id: userId,
      stream_id: streamId,
      devices: [...devices],
      ...(master && { master_key: master }),
      ...(selfSigning && { self_signing_key: selfSigning }),
    }
  }),
]
