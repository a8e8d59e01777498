import type { ReplyOf } from '../../../shared/api/endpoint.ts'
import {
  createRegistrationToken,
  getRegistrationTokens,
  revokeRegistrationToken,
} from '../../../shared/api/hearth/registration-tokens.ts'
import type { RegistrationToken, RegistrationTokens } from '../../household/index.ts'
import { type Route, route } from '../../http/route.ts'
import { requireAdmin } from './require-admin.ts'

/** @param baseUrl where people reach the pages */
export function registrationTokensRoutes(tokens: RegistrationTokens, baseUrl: () => string): readonly Route[] {
  const shown = (token: RegistrationToken): ReplyOf<typeof createRegistrationToken> => ({
    token: token.token,
    url: `${baseUrl()}/oauth/new-account?${new URLSearchParams({ token: token.token })}`,
    note: token.note,
    uses_allowed: token.usesAllowed,
    uses: token.uses,
    created_by: token.createdBy,
    created_ts: token.createdTs,
    expires_ts: token.expiresTs,
    valid: token.isValid,
  })
  return [
    route(createRegistrationToken, async ({ body, requester }) => {
      requireAdmin(requester)
      const { uses_allowed: usesAllowed, lifetime_ms: lifetimeMs, note } = body
      return shown(await tokens.create({ usesAllowed, lifetimeMs, note }, requester.userId))
    }),

    route(getRegistrationTokens, async ({ requester }) => {
      requireAdmin(requester)
      return { registration_tokens: (await tokens.list()).map(shown) }
    }),

    route(revokeRegistrationToken, async ({ path, requester }) => {
      requireAdmin(requester)
      await tokens.revoke(path.token)
      return {}
    }),
  ]
}
