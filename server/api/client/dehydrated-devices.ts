import {
  deleteDehydratedDevice,
  getDehydratedDevice,
  getDehydratedDeviceEvents,
  postDehydratedDeviceEvents,
  putDehydratedDevice,
} from '../../../shared/api/client/dehydrated-devices-msc3814.ts'
import type { E2ee } from '../../e2ee/index.ts'
import { Reply, type Route, route } from '../../http/route.ts'
import type { JsonObject } from '../../protocol/pdu.ts'

/** Spec: MSC3814. */
export const dehydratedDevicesRoutes = ({ dehydrated }: Pick<E2ee, 'dehydrated'>): readonly Route[] => {
  const events = async (userId: string, deviceId: string, from: string | undefined): Promise<Reply> => {
    const batch = await dehydrated.events(userId, deviceId, from)
    const next = batch.next === undefined ? '' : `,"next_batch":${JSON.stringify(batch.next)}`
    return Reply.json(`{"events":[${batch.events.join(',')}]${next}}`)
  }
  return [
    route(putDehydratedDevice, async ({ body, requester }) => {
      const { device_id, device_data, initial_device_display_name: displayName } = body
      const keys = {
        device_keys: body.device_keys as JsonObject,
        one_time_keys: body.one_time_keys as JsonObject | undefined,
        fallback_keys: body.fallback_keys as JsonObject | undefined,
      }
      await dehydrated.put(requester.userId, { device_id, device_data, displayName, keys })
      return { device_id }
    }),

    route(getDehydratedDevice, async ({ requester }) =>
      Reply.json(JSON.stringify(await dehydrated.get(requester.userId))),
    ),

    route(deleteDehydratedDevice, async ({ requester }) => ({ device_id: await dehydrated.delete(requester.userId) })),

    route(getDehydratedDeviceEvents, ({ path, query, requester }) =>
      events(requester.userId, path.deviceId, query.from),
    ),

    route(postDehydratedDeviceEvents, ({ path, body, requester }) =>
      events(requester.userId, path.deviceId, body.next_batch),
    ),
  ]
}
