import { getTurnServer } from '../../../shared/api/client/voip.ts'
import { type Route, route } from '../../http/route.ts'

/** Seconds after which clients ask anew; soon enough to hear of a relay that was set up. */
const TTL_S = 3_600

export const voipRoutes = (): readonly Route[] => [
  // Without a relay, clients try to reach each other directly.
  route(getTurnServer, async () => ({ username: '', password: '', uris: [], ttl: TTL_S })),
]
