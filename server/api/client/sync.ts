import { getKeysChanges } from '../../../shared/api/client/keys.ts'
import { sync } from '../../../shared/api/client/sync.ts'
import { Reply, type Route, route } from '../../http/route.ts'
import type { Sync } from '../../sync/index.ts'

export const syncRoutes = (slice: Sync): readonly Route[] => [
  route(sync, async ({ query, requester, request }) =>
    Reply.json(
      await slice.answer({
        userId: requester.userId,
        deviceId: requester.deviceId,
        filter: query.filter,
        since: query.since,
        fullState: query.full_state,
        setPresence: query.set_presence,
        timeoutMs: query.timeout,
        useStateAfter: query.use_state_after,
        signal: () => request.signal,
      }),
    ),
  ),

  // Declared with the other keys' endpoints; its tokens are those of `/sync`.
  route(getKeysChanges, async ({ query, requester }) => {
    const { changed, left } = await slice.keyChanges(requester.userId, query)
    return { changed: [...changed], left: [...left] }
  }),
]
