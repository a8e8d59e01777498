import { defineFilter, getFilter } from '../../../shared/api/client/filter.ts'
import { type Route, route } from '../../http/route.ts'
import type { Filters } from '../../sync/index.ts'
import { requireOwnData } from './own-data.ts'

export const filterRoutes = (filters: Filters): readonly Route[] => [
  route(defineFilter, async ({ path, body, requester }) => {
    requireOwnData(requester, path.userId)
    return { filter_id: await filters.define(path.userId, body) }
  }),
  route(getFilter, async ({ path, requester }) => {
    requireOwnData(requester, path.userId)
    return filters.get(path.userId, path.filterId)
  }),
]
