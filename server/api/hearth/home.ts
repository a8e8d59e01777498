import { claimHome, getHome, setHome } from '../../../shared/api/hearth/home.ts'
import type { Household } from '../../household/index.ts'
import { type Route, route } from '../../http/route.ts'
import { sessionReply, sessionRequestOf } from '../session-reply.ts'

export const homeRoutes = (household: Household): readonly Route[] => [
  route(getHome, async () => {
    const { name, isClaimed, registration, serverName } = await household.describe()
    return { name, claimed: isClaimed, registration, server_name: serverName }
  }),

  route(claimHome, async ({ body }) => {
    const { name, username, password, claim_code: code } = body
    return sessionReply(await household.claim({ name, username, password, code, session: sessionRequestOf(body) }))
  }),

  route(setHome, async ({ body, requester }) => {
    await household.rename(body.name, requester)
    return {}
  }),
]
