/** Signing in to the server's own pages. */
import { doBrowserLogin, doBrowserLogout, showBrowserLogin } from '../../../shared/api/oauth/pages.ts'
import { typedIdentifier } from '../../accounts/index.ts'
import { type Reply, type Route, route } from '../../http/route.ts'
import { continueTo, type Desk, isError, show, take } from './desk.ts'
import type { Form } from './form.ts'
import { type Html, html } from './html.ts'
import { formToken, hidden, page, redirect } from './page.ts'
import { type Failure, failureText, type Visit } from './visit.ts'

const MAX_USERNAME_LENGTH = 255

interface Shown {
  readonly next: string
  readonly username?: string | undefined
  readonly failure?: Failure | undefined
}

/** @param kind what the password manager is to offer */
export function credentialFields(
  { say }: Pick<Visit, 'say'>,
  username: string | undefined,
  kind: 'current' | 'new',
): Html {
  const isNew = kind === 'new'
  return html`<label>${say('username')}${isNew && html`<small>${say('usernameHint')}</small>`}
<input name="username" value="${username}" autocomplete="username" autocapitalize="none" spellcheck="false"
maxlength="${MAX_USERNAME_LENGTH}" required></label>
<label>${say('password')}${isNew && html`<small>${say('passwordHint')}</small>`}
<input name="password" type="password" autocomplete="${kind}-password" required></label>`
}

async function loginPage(desk: Desk, visit: Visit, shown: Shown): Promise<Reply> {
  const { say, at } = visit
  const elsewhere = at(`/oauth/new-account?${new URLSearchParams({ continue: shown.next })}`)
  const mayRegister = (await desk.admission.door()) !== 'closed'
  return page(visit, desk.home, {
    title: say('signInTo', { home: desk.home }),
    failure: shown.failure,
    body: html`<form method="post" action="${at('/oauth/login')}">${formToken(visit)}${hidden('continue', shown.next)}
${credentialFields(visit, shown.username, 'current')}
<button class="main">${say('signIn')}</button></form>
${desk.emails.isPossible && html`<p><a href="${at('/oauth/forgot-password')}">${say('forgotten')}</a></p>`}
${mayRegister && html`<p>${say('noAccountYet')} <a href="${elsewhere}">${say('newAccount')}</a></p>`}`,
  })
}

/** The name that a client suggests, as Matrix clients write it. Spec: MSC4198. */
export function hinted(hint: string | undefined): string | undefined {
  return hint?.replace(/^mxid:/, '').slice(0, MAX_USERNAME_LENGTH)
}

async function logIn(desk: Desk, visit: Visit, form: Form): Promise<Reply> {
  const next = continueTo(form.continue)
  const { username = '', password = '' } = form
  const again = (failure: Shown['failure']): Promise<Reply> => loginPage(desk, visit, { next, username, failure })
  try {
    desk.rateLimits.take('login', visit.ip)
    const identifier = typedIdentifier(username)
    const userId = await desk.accounts.findByPassword({ identifier, password, ip: visit.ip })
    if (userId === undefined) return await again({ status: 403, text: visit.say('wrongPassword') })
    if ((await desk.accounts.oauthSessions.credentialMark(userId)) === undefined) {
      return await again({ status: 403, text: visit.say('locked') })
    }
    return await enter(desk, visit, userId, next)
  } catch (error) {
    if (isError(error, 'M_INVALID_PARAM')) return again({ status: 403, text: visit.say('wrongPassword') })
    const failure = failureText(error, visit.say)
    if (!failure) throw error
    return again(failure)
  }
}

/** With a new cookie, so that one which was put there before the login is worth nothing. */
export async function enter(desk: Desk, visit: Visit, userId: string, next: string): Promise<Reply> {
  const { at, secret } = await entered(desk, visit, userId)
  return redirect(at(withoutPrompt(next)), desk.visits.cookie(secret))
}

/** The same, for a page that is shown before the browser goes on. */
export async function entered(desk: Desk, visit: Visit, userId: string): Promise<Visit & { readonly userId: string }> {
  if (visit.userId !== undefined) await desk.oauth.browserSessions.close(visit.secret)
  const secret = await desk.oauth.browserSessions.open(userId)
  return { ...desk.visits.withSecret(visit, secret), userId }
}

/** What the prompt asked for has been done; asked again, it would be done for ever. */
export function withoutPrompt(next: string): string {
  const [path, query] = next.split('?', 2)
  if (query === undefined) return next
  const search = new URLSearchParams(query)
  search.delete('prompt')
  if (path === '/oauth/sso') search.delete('action')
  return `${path}?${search}`
}

export const loginPageRoutes = (desk: Desk): readonly Route[] => [
  route(showBrowserLogin, ({ query, request }) =>
    show(desk, request, async (visit) =>
      loginPage(desk, visit, { next: continueTo(query.continue), username: hinted(query.login_hint) }),
    ),
  ),
  route(doBrowserLogin, ({ request }) => take(desk, request, (visit, form) => logIn(desk, visit, form))),

  route(doBrowserLogout, ({ request }) =>
    take(desk, request, async (visit, form) => {
      if (visit.userId !== undefined) await desk.oauth.browserSessions.close(visit.secret)
      return redirect(visit.at(`/oauth/login?${new URLSearchParams({ continue: continueTo(form.continue) })}`))
    }),
  ),
]
