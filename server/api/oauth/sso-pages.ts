/** For clients of the legacy API, which get a login token from our login page. Spec: client-server-api §Client login via SSO. */
import { redirectToIdP, redirectToSSO } from '../../../shared/api/client/sso_login_redirect.ts'
import { giveLoginToken, showLoginToken } from '../../../shared/api/oauth/pages.ts'
import { invalidParam, notFound } from '../../../shared/matrix/errors.ts'
import { Reply, type Route, route } from '../../http/route.ts'
import { REDIRECT_TOKEN_LIFETIME_MS } from '../../oauth/index.ts'
import { otherAccount } from './consent-pages.ts'
import { type Desk, loginFirst, show, take } from './desk.ts'
import { html } from './html.ts'
import { formTargetOf, formToken, hidden, page, redirect } from './page.ts'
import type { Visit } from './visit.ts'

const MAX_URL_LENGTH = 4_096
/** Schemes that browsers give a meaning of their own. */
const REFUSED = /^(javascript|data|blob|file|filesystem|about|view-source|vbscript|ftp|ws|wss):$/

/** @throws MatrixError 400 M_INVALID_PARAM */
function requireRedirectUrl(text: string | undefined): string {
  const fits = text !== undefined && text.length <= MAX_URL_LENGTH && /^[\x21-\x7e]+$/.test(text) && URL.canParse(text)
  if (!fits || REFUSED.test(new URL(text).protocol))
    throw invalidParam("'redirectUrl' is no URL that a client lives at")
  return new URL(text).href
}

/** What the person is told of where they go: the part that nobody can make up. */
function placeOf(url: string, { say }: Visit): string {
  const { protocol, host } = new URL(url)
  return protocol === 'https:' || protocol === 'http:' ? host : say('thisComputer')
}

function withToken(url: string, token: string): string {
  const to = new URL(url)
  // One that is there already is some other server's, or an attacker's: a client would take the first.
  to.searchParams.set('loginToken', token)
  return to.href
}

/** @param baseUrl where the pages live */
export const ssoPageRoutes = (desk: Desk, baseUrl: () => string): readonly Route[] => [
  route(redirectToSSO, async ({ query }) => {
    const parameters = new URLSearchParams({ redirectUrl: requireRedirectUrl(query.redirectUrl) })
    if (query.action !== undefined) parameters.set('action', query.action)
    const location = `${baseUrl()}/oauth/sso?${parameters}`
    return new Reply({ status: 302, headers: { location, 'cache-control': 'no-store' }, body: null })
  }),

  route(redirectToIdP, async () => {
    throw notFound('This server has no identity providers')
  }),

  route(showLoginToken, ({ query, request }) =>
    show(desk, request, async (visit) => {
      const redirectUrl = requireRedirectUrl(query.redirectUrl)
      const here = `/oauth/sso?${new URLSearchParams({ redirectUrl })}`
      if (query.action === 'register') return loginFirst(visit, '/oauth/new-account', here)
      if (visit.userId === undefined) return loginFirst(visit, '/oauth/login', here)
      const { say, at, userId } = visit
      return page(visit, desk.home, {
        title: say('ssoTitle', { host: placeOf(redirectUrl, visit) }),
        leadsTo: formTargetOf(redirectUrl),
        body: html`<p>${say('signedInAs')} <strong>${userId}</strong></p><p>${say('ssoHint')}</p>
<form method="post" action="${at('/oauth/sso')}">${formToken(visit)}${hidden('redirectUrl', redirectUrl)}
<p class="buttons"><button class="main">${say('goOn')}</button></p></form>
${otherAccount(visit, here)}`,
      })
    }),
  ),

  route(giveLoginToken, ({ request }) =>
    take(desk, request, async (visit, form) => {
      const redirectUrl = requireRedirectUrl(form.redirectUrl)
      if (visit.userId === undefined) {
        return loginFirst(visit, '/oauth/login', `/oauth/sso?${new URLSearchParams({ redirectUrl })}`)
      }
      return redirect(withToken(redirectUrl, desk.oauth.loginTokens.issue(visit.userId, REDIRECT_TOKEN_LIFETIME_MS)))
    }),
  ),
]
