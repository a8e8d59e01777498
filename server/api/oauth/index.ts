/** The HTTP edge of `server/oauth/`: what OAuth clients call, and the pages that people see in their browsers. */
import type { Accounts } from '../../accounts/index.ts'
import type { Household } from '../../household/index.ts'
import type { RateLimits } from '../../http/rate-limit.ts'
import type { Route } from '../../http/route.ts'
import type { EmailValidation } from '../../identity/index.ts'
import type { OAuth } from '../../oauth/index.ts'
import type { Environment } from '../../observe/environment.ts'
import { accountPageRoutes } from './account-pages.ts'
import { consentPageRoutes } from './consent-pages.ts'
import type { Desk } from './desk.ts'
import { emailPageRoutes } from './email-pages.ts'
import { linkPageRoutes } from './link-pages.ts'
import { loginPageRoutes } from './login-pages.ts'
import { newAccountPageRoutes } from './new-account-pages.ts'
import { oauthProtocolRoutes } from './protocol.ts'
import { ssoPageRoutes } from './sso-pages.ts'
import { Visits } from './visit.ts'

export function oauthRoutes({
  oauth,
  accounts,
  household,
  emails,
  rateLimits,
  environment,
  baseUrl,
}: {
  oauth: OAuth
  accounts: Accounts
  household: Pick<Household, 'admission'>
  emails: EmailValidation
  rateLimits: RateLimits
  environment: Environment
  /** Where clients reach the server. */
  baseUrl: () => string
}): readonly Route[] {
  const visits = new Visits(oauth, environment.random, baseUrl)
  const { admission } = household
  const { random, serverName: home } = environment
  const desk: Desk = { oauth, accounts, admission, emails, random, rateLimits, visits, home }
  return [
    ...oauthProtocolRoutes({ oauth, rateLimits, baseUrl }),
    ...loginPageRoutes(desk),
    ...newAccountPageRoutes(desk),
    ...consentPageRoutes(desk),
    ...linkPageRoutes(desk),
    ...ssoPageRoutes(desk, baseUrl),
    ...accountPageRoutes(desk),
    ...emailPageRoutes(desk),
  ]
}
