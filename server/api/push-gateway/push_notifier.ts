import { discoverPushGateway, notify } from '../../../shared/api/push-gateway/push_notifier.ts'
import { MatrixError } from '../../../shared/matrix/errors.ts'
import { type Route, route } from '../../http/route.ts'
import { RemoteError } from '../../net/index.ts'
import type { PushGateway } from '../../push/index.ts'

export const pushNotifierRoutes = (gateway: PushGateway): readonly Route[] => [
  route(notify, async ({ body, request }) => {
    try {
      return { rejected: [...(await gateway.notify(body.notification, request.signal))] }
    } catch (error) {
      if (!(error instanceof RemoteError)) throw error
      // The homeserver tries again.
      throw new MatrixError('M_UNKNOWN', 502, 'The push service did not take the notification')
    }
  }),
  route(discoverPushGateway, async () => ({ unifiedpush: { gateway: 'matrix' as const } })),
]
