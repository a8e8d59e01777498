/** The edge for clients that send people to a browser because they cannot do a step themselves. */
import type { Accounts } from '../../accounts/index.ts'
import type { RateLimits } from '../../http/rate-limit.ts'
import type { Route } from '../../http/route.ts'
import type { Uia } from '../../http/uia.ts'
import { authPageRoutes } from './auth-pages.ts'
import { loginPageRoutes } from './login-page.ts'

/** What the pages work with. */
export interface FallbackDesk {
  readonly accounts: Accounts
  readonly uia: Uia
  readonly rateLimits: RateLimits
  /** What the home is called on its pages. */
  readonly home: string
  /** Where clients reach the server. */
  readonly baseUrl: () => string
}

export const fallbackRoutes = (desk: FallbackDesk): readonly Route[] => [
  ...authPageRoutes(desk),
  ...loginPageRoutes(desk),
]
