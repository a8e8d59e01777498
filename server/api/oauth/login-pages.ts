/** Signing in to the server's own pages, and making an account there. */
import {
  doBrowserLogin,
  doBrowserLogout,
  makeNewAccount,
  showBrowserLogin,
  showNewAccount,
} from '../../../shared/api/oauth/pages.ts'
import { type Reply, type Route, route } from '../../http/route.ts'
import { continueTo, type Desk, isError, show, take } from './desk.ts'
import type { Form } from './form.ts'
import { html } from './html.ts'
import { formToken, hidden, page, redirect } from './page.ts'
import type { TextKey } from './texts.ts'
import { failureText, type Visit } from './visit.ts'

const MAX_USERNAME_LENGTH = 255

interface Shown {
  readonly next: string
  readonly username?: string | undefined
  readonly failure?: { readonly status: number; readonly text: string } | undefined
}

function fields(visit: Visit, { next, username }: Shown, kind: 'current' | 'new') {
  const { say } = visit
  const isNew = kind === 'new'
  return html`${formToken(visit)}${hidden('continue', next)}
<label>${say('username')}${isNew && html`<small>${say('usernameHint')}</small>`}
<input name="username" value="${username}" autocomplete="username" autocapitalize="none" spellcheck="false"
maxlength="${MAX_USERNAME_LENGTH}" required></label>
<label>${say('password')}${isNew && html`<small>${say('passwordHint')}</small>`}
<input name="password" type="password" autocomplete="${kind}-password" required></label>`
}

function loginPage(desk: Desk, visit: Visit, shown: Shown): Reply {
  const { say, at } = visit
  const elsewhere = at(`/oauth/new-account?${new URLSearchParams({ continue: shown.next })}`)
  return page(visit, desk.home, {
    title: say('signInTo', { home: desk.home }),
    ...(shown.failure && { status: shown.failure.status, failure: shown.failure.text }),
    body: html`<form method="post" action="${at('/oauth/login')}">${fields(visit, shown, 'current')}
<button class="main">${say('signIn')}</button></form>
${desk.accounts.isRegistrationOpen && html`<p>${say('noAccountYet')} <a href="${elsewhere}">${say('newAccount')}</a></p>`}`,
  })
}

function newAccountPage(desk: Desk, visit: Visit, shown: Shown): Reply {
  const { say, at } = visit
  const elsewhere = at(`/oauth/login?${new URLSearchParams({ continue: shown.next })}`)
  const login = html`<p>${say('haveAccount')} <a href="${elsewhere}">${say('signIn')}</a></p>`
  const form = html`<form method="post" action="${at('/oauth/new-account')}">${fields(visit, shown, 'new')}
<button class="main">${say('make')}</button></form>`
  const isOpen = desk.accounts.isRegistrationOpen
  return page(visit, desk.home, {
    title: say('newAccountAt', { home: desk.home }),
    ...(shown.failure && { status: shown.failure.status, failure: shown.failure.text }),
    body: isOpen ? html`${form}${login}` : html`<p>${say('closed')}</p>${login}`,
  })
}

/** The name that a client suggests, as Matrix clients write it. Spec: MSC4198. */
function hinted(hint: string | undefined): string | undefined {
  return hint?.replace(/^mxid:/, '').slice(0, MAX_USERNAME_LENGTH)
}

async function logIn(desk: Desk, visit: Visit, form: Form): Promise<Reply> {
  const next = continueTo(form.continue)
  const { username = '', password = '' } = form
  const again = (failure: Shown['failure']): Reply => loginPage(desk, visit, { next, username, failure })
  try {
    desk.rateLimits.take('login', visit.ip)
    const identifier = { type: 'm.id.user', user: username } as const
    const userId = await desk.accounts.findByPassword({ identifier, password, ip: visit.ip })
    if (userId === undefined) return again({ status: 403, text: visit.say('wrongPassword') })
    if ((await desk.accounts.oauthSessions.credentialMark(userId)) === undefined) {
      return again({ status: 403, text: visit.say('locked') })
    }
    return enter(desk, visit, userId, next)
  } catch (error) {
    if (isError(error, 'M_INVALID_PARAM')) return again({ status: 403, text: visit.say('wrongPassword') })
    const failure = failureText(error, visit.say)
    if (!failure) throw error
    return again(failure)
  }
}

/** With a new cookie, so that one which was put there before the login is worth nothing. */
async function enter(desk: Desk, visit: Visit, userId: string, next: string): Promise<Reply> {
  if (visit.userId !== undefined) await desk.oauth.browserSessions.close(visit.secret)
  const secret = await desk.oauth.browserSessions.open(userId)
  return redirect(visit.at(withoutPrompt(next)), desk.visits.cookie(secret))
}

/** What the prompt asked for has been done; asked again, it would be done for ever. */
function withoutPrompt(next: string): string {
  const [path, query] = next.split('?', 2)
  if (query === undefined) return next
  const search = new URLSearchParams(query)
  search.delete('prompt')
  if (path === '/oauth/sso') search.delete('action')
  return `${path}?${search}`
}

const registrationFaults: Readonly<Record<string, TextKey>> = {
  M_USER_IN_USE: 'nameTaken',
  M_INVALID_USERNAME: 'badName',
  M_WEAK_PASSWORD: 'weakPassword',
  M_INVALID_PARAM: 'weakPassword',
}

async function makeAccount(desk: Desk, visit: Visit, form: Form): Promise<Reply> {
  const next = continueTo(form.continue)
  const { username = '', password = '' } = form
  try {
    desk.rateLimits.take('registration', visit.ip)
    await desk.accounts.requireMayRegister(username)
    const { userId } = await desk.accounts.register({ username, password, session: null })
    return await enter(desk, visit, userId, next)
  } catch (error) {
    const [errcode] = Object.keys(registrationFaults).filter((one) => isError(error, one))
    const known = errcode === undefined ? undefined : registrationFaults[errcode]
    const failure = known ? { status: 400, text: visit.say(known) } : failureText(error, visit.say)
    if (!failure) throw error
    return newAccountPage(desk, visit, { next, username, failure })
  }
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

  route(showNewAccount, ({ query, request }) =>
    show(desk, request, async (visit) =>
      newAccountPage(desk, visit, {
        next: continueTo(query.continue),
        username: hinted(query.login_hint)?.replace(/^@([^:]*):.*$/, '$1'),
      }),
    ),
  ),
  route(makeNewAccount, ({ request }) => take(desk, request, (visit, form) => makeAccount(desk, visit, form))),
]
