import {
  getProtocolMetadata,
  getProtocols,
  queryLocationByAlias,
  queryLocationByProtocol,
  queryUserByID,
  queryUserByProtocol,
} from '../../../shared/api/client/third_party_lookup.ts'
import { notFound } from '../../../shared/matrix/errors.ts'
import type { Requester } from '../../accounts/index.ts'
import type { ThirdParty } from '../../appservices/index.ts'
import { type Route, route } from '../../http/route.ts'

export const thirdPartyLookupRoutes = (thirdParty: ThirdParty): readonly Route[] => [
  route(getProtocols, async () => Object.fromEntries(await thirdParty.protocols())),

  route(getProtocolMetadata, async ({ path }) => {
    const protocol = await thirdParty.protocol(path.protocol)
    if (!protocol) throw notFound('No application service offers this protocol')
    return protocol
  }),

  route(queryLocationByProtocol, async ({ path, query, requester }) =>
    orNotFound(await thirdParty.locations(path.protocol, fieldsOf(query, requester))),
  ),

  route(queryUserByProtocol, async ({ path, query, requester }) =>
    orNotFound(await thirdParty.users(path.protocol, fieldsOf(query, requester))),
  ),

  route(queryLocationByAlias, async ({ query }) => orNotFound(await thirdParty.locationsOfAlias(query.alias))),

  route(queryUserByID, async ({ query }) => orNotFound(await thirdParty.usersOfId(query.userid))),
]

function orNotFound<T>(found: readonly T[]): T[] {
  if (found.length === 0) throw notFound('Nothing was found')
  return [...found]
}

/** What the query holds besides what says who asks. */
function fieldsOf(query: object, { appservice }: Requester): ReadonlyMap<string, string> {
  const fields = new Map(Object.entries(query as Record<string, string>))
  fields.delete('access_token')
  if (appservice) for (const name of ['user_id', 'device_id', 'org.matrix.msc3202.device_id']) fields.delete(name)
  return fields
}
