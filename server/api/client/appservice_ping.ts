import { pingAppservice } from '../../../shared/api/client/appservice_ping.ts'
import { forbidden } from '../../../shared/matrix/errors.ts'
import type { Appservices } from '../../appservices/index.ts'
import { type Route, route } from '../../http/route.ts'

export const appservicePingRoutes = (appservices: Pick<Appservices, 'ping'>): readonly Route[] => [
  route(pingAppservice, async ({ path, body, requester }) => {
    if (requester.appservice?.id !== path.appserviceId) throw forbidden('The token is not of this application service')
    return { duration_ms: await appservices.ping(path.appserviceId, body.transaction_id) }
  }),
]
