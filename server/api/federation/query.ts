import { queryInfo, queryProfile, queryRoomDirectory } from '../../../shared/api/federation/query.ts'
import { notFound } from '../../../shared/matrix/errors.ts'
import { serverNameOf } from '../../../shared/matrix/identifiers.ts'
import type { Accounts } from '../../accounts/index.ts'
import { type Route, route } from '../../http/route.ts'
import type { ForServers } from '../../rooms/index.ts'

export const queryRoutes = (
  rooms: Pick<ForServers, 'queryAlias'>,
  accounts: Pick<Accounts, 'getProfile'>,
  home: string,
): readonly Route[] => [
  route(queryInfo, async () => {
    throw notFound('There is no such type of query')
  }),

  route(queryRoomDirectory, async ({ query }) => {
    const { roomId, servers } = await rooms.queryAlias(query.room_alias)
    return { room_id: roomId, servers: [...servers] }
  }),

  route(queryProfile, async ({ query: { user_id: userId, field } }) => {
    if (serverNameOf(userId) !== home) throw notFound('There is no such user here')
    const profile = await accounts.getProfile(userId)
    if (field === undefined) return profile
    const value = Object.hasOwn(profile, field) ? profile[field] : undefined
    if (value === undefined) throw notFound('The profile has no such field')
    return { [field]: value }
  }),
]
