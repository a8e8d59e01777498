import { slidingSync } from '../../../shared/api/client/sync-msc4186.ts'
import { Reply, type Route, route } from '../../http/route.ts'
import type { Sync } from '../../sync/index.ts'

export const slidingSyncRoutes = (slice: Sync): readonly Route[] => [
  route(slidingSync, async ({ query, body, requester, request }) =>
    Reply.json(
      await slice.answerSliding({
        userId: requester.userId,
        deviceId: requester.deviceId,
        body,
        pos: query.pos,
        timeoutMs: query.timeout,
        setPresence: query.set_presence,
        signal: () => request.signal,
      }),
    ),
  ),
]
