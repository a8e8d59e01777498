import { sendToDevice } from '../../../shared/api/client/to_device.ts'
import type { E2ee } from '../../e2ee/index.ts'
import { type Route, route } from '../../http/route.ts'

export const toDeviceRoutes = (e2ee: Pick<E2ee, 'sendToDevices'>): readonly Route[] => [
  route(sendToDevice, async ({ path, body, requester }) => {
    await e2ee.sendToDevices({
      sender: requester,
      txnId: path.txnId,
      type: path.eventType,
      messages: new Map(
        Object.entries(body.messages).map(([userId, byDevice]) => [userId, new Map(Object.entries(byDevice))]),
      ),
    })
    return {}
  }),
]
