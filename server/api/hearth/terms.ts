import { getTerms, setTerms } from '../../../shared/api/hearth/terms.ts'
import type { Policies, Terms } from '../../household/index.ts'
import { type Route, route } from '../../http/route.ts'
import { requireAdmin } from './require-admin.ts'

export const termsRoutes = (terms: Terms): readonly Route[] => [
  route(getTerms, async ({ requester }) => {
    requireAdmin(requester)
    return { policies: await terms.policies() }
  }),

  route(setTerms, async ({ body, requester }) => {
    requireAdmin(requester)
    await terms.set(body.policies as Policies)
    return {}
  }),
]
