import { bulkPerspectivesKeyQuery, perspectivesKeyQuery } from '../../../shared/api/federation/keys_query.ts'
import type { Notary } from '../../federation/index.ts'
import { type Route, route } from '../../http/route.ts'

type ServerKeys = Awaited<ReturnType<Notary['query']>>
/** Documents are as their servers signed them; what they hold was checked when they were fetched. */
const reply = (documents: ServerKeys) => ({ server_keys: [...documents] as never[] })

export const keysQueryRoutes = (notary: Notary): readonly Route[] => [
  route(perspectivesKeyQuery, async ({ path, query }) => {
    const goodUntilTs = query.minimum_valid_until_ts
    return reply(await notary.query([{ serverName: path.serverName, goodUntilTs }]))
  }),

  route(bulkPerspectivesKeyQuery, async ({ body }) => {
    const wishes = Object.entries(body.server_keys).map(([serverName, criteria]) => {
      const times = Object.values(criteria).map(({ minimum_valid_until_ts: ts }) => ts ?? 0)
      return { serverName, goodUntilTs: times.length > 0 ? Math.max(...times) : undefined }
    })
    return reply(await notary.query(wishes))
  }),
]
