import { getDestinations, retryDestination } from '../../../shared/api/hearth/destinations.ts'
import { notFound } from '../../../shared/matrix/errors.ts'
import type { OutboxService } from '../../federation/index.ts'
import { type Route, route } from '../../http/route.ts'
import { requireAdmin } from './require-admin.ts'

const DEFAULT_LIMIT = 100

export const destinationsRoutes = (outbox: Pick<OutboxService, 'list' | 'retry'>): readonly Route[] => [
  route(getDestinations, async ({ query, requester }) => {
    requireAdmin(requester)
    const all = outbox.list()
    const destinations = all.slice(0, query.limit ?? DEFAULT_LIMIT).map((destination) => ({
      server_name: destination.server,
      state: destination.state,
      failing_since: destination.failingSinceTs,
      retry_at: destination.retryTs,
      why: destination.why,
      lacks_events: destination.lacksEvents,
      waiting_edus: destination.edus,
    }))
    return { destinations, total: all.length }
  }),

  route(retryDestination, async ({ path, requester }) => {
    requireAdmin(requester)
    if (!outbox.retry(path.serverName)) throw notFound('Nothing waits for this server')
    return {}
  }),
]
