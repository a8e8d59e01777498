import {
  deleteDevice,
  deleteDevices,
  getDevice,
  getDevices,
  updateDevice,
} from '../../../shared/api/client/device_management.ts'
import type { ReplyOf } from '../../../shared/api/endpoint.ts'
import { notFound } from '../../../shared/matrix/errors.ts'
import { type Accounts, type Device, requireLegacySession } from '../../accounts/index.ts'
import { Reply, type Route, route } from '../../http/route.ts'
import { PASSWORD, type Uia } from '../../http/uia.ts'

function clientDevice(device: Device): ReplyOf<typeof getDevice> {
  return {
    device_id: device.deviceId,
    ...(device.displayName === null ? {} : { display_name: device.displayName }),
    ...(device.lastSeenIp === null ? {} : { last_seen_ip: device.lastSeenIp }),
    ...(device.lastSeenTs === null ? {} : { last_seen_ts: device.lastSeenTs }),
  }
}

export const deviceManagementRoutes = (accounts: Accounts, uia: Uia): readonly Route[] => [
  route(getDevices, async ({ requester }) => {
    const devices = await accounts.listDevices(requester.userId)
    return { devices: devices.map(clientDevice) }
  }),

  route(getDevice, async ({ path, requester }) => {
    const device = await accounts.findDevice(requester.userId, path.deviceId)
    if (!device) throw notFound('You have no such device')
    return clientDevice(device)
  }),

  route(updateDevice, async ({ path, body, requester }) => {
    if (requester.appservice) {
      const isNew = await accounts.createDevice(requester.userId, path.deviceId, body.display_name)
      if (isNew) return Reply.json('{}', 201)
    }
    const device = await accounts.findDevice(requester.userId, path.deviceId)
    if (!device) throw notFound('You have no such device')
    if (body.display_name !== undefined) {
      await accounts.renameDevice(requester.userId, path.deviceId, body.display_name)
    }
    return {}
  }),

  route(deleteDevice, async ({ path, body, requester, request }) => {
    requireLegacySession(requester)
    const { userId } = requester
    const operation = `deleteDevice ${path.deviceId}`
    const removal = async (): Promise<Record<string, never>> => {
      await accounts.removeDevices(userId, [path.deviceId])
      return {}
    }
    if (requester.appservice) return removal()
    return uia.run({ operation, body, userId, flows: [[PASSWORD]], ip: request.ip }, removal)
  }),

  route(deleteDevices, async ({ body, requester, request }) => {
    requireLegacySession(requester)
    const { userId } = requester
    const removal = async (): Promise<Record<string, never>> => {
      await accounts.removeDevices(userId, body.devices)
      return {}
    }
    if (requester.appservice) return removal()
    return uia.run({ operation: 'deleteDevices', body, userId, flows: [[PASSWORD]], ip: request.ip }, removal)
  }),
]
