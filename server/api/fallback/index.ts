/** The edge for clients that send people to a browser because they cannot do a step themselves. */
import type { Route } from '../../http/route.ts'
import { authPageRoutes } from './auth-pages.ts'
import type { FallbackDesk } from './desk.ts'
import { loginPageRoutes } from './login-page.ts'

export const fallbackRoutes = (desk: FallbackDesk): readonly Route[] => [
  ...authPageRoutes(desk),
  ...loginPageRoutes(desk),
]
