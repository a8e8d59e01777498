import { searchUserDirectory } from '../../../shared/api/client/users.ts'
import { type Route, route } from '../../http/route.ts'
import type { Search } from '../../search/index.ts'

export const usersRoutes = (search: Pick<Search, 'findUsers'>): readonly Route[] => [
  route(searchUserDirectory, ({ body, requester }) =>
    search.findUsers({ userId: requester.userId, term: body.search_term, limit: body.limit }),
  ),
]
