/** Making an account: for everybody, or for those who were invited. */
import { makeNewAccount, showNewAccount } from '../../../shared/api/oauth/pages.ts'
import { MatrixError } from '../../../shared/matrix/errors.ts'
import { type Policies, translationOf } from '../../household/index.ts'
import { type Reply, type Route, route } from '../../http/route.ts'
import { continueTo, type Desk, show, take } from './desk.ts'
import type { Form } from './form.ts'
import { type Html, html } from './html.ts'
import { credentialFields, enter, hinted } from './login-pages.ts'
import { formToken, hidden, page } from './page.ts'
import type { TextKey } from './texts.ts'
import { failureText, type Visit } from './visit.ts'

const MAX_TOKEN_LENGTH = 64

interface Shown {
  readonly next: string
  readonly username?: string | undefined
  readonly token?: string | undefined
  readonly failure?: { readonly status: number; readonly text: string } | undefined
}

export function tokenField({ say }: Pick<Visit, 'say'>, token: string | undefined): Html {
  return html`<label>${say('invitation')}<small>${say('invitationHint')}</small>
<input name="token" value="${token?.slice(0, MAX_TOKEN_LENGTH)}" autocomplete="off" autocapitalize="characters" spellcheck="false"
maxlength="${MAX_TOKEN_LENGTH}" required></label>`
}

/** One box for each document, with the version that it stands for. */
export function termsFields({ say, language }: Pick<Visit, 'say' | 'language'>, policies: Policies): readonly Html[] {
  return Object.entries(policies).map(([id, policy]) => {
    const { name, url } = translationOf(policy, language) ?? { name: id, url: '' }
    return html`<label class="check"><input type="checkbox" name="${`terms ${id}`}" value="${policy.version}" required>
<span>${say('agree')} <a href="${url}" target="_blank" rel="noreferrer">${name}</a></span></label>`
  })
}

/** Whether all boxes of `termsFields` are ticked. */
export const agreesTo = (form: Form, policies: Policies): boolean =>
  Object.entries(policies).every(([id, { version }]) => form[`terms ${id}`] === version)

async function newAccountPage(desk: Desk, visit: Visit, shown: Shown): Promise<Reply> {
  const { say, at } = visit
  const elsewhere = at(`/oauth/login?${new URLSearchParams({ continue: shown.next })}`)
  const login = html`<p>${say('haveAccount')} <a href="${elsewhere}">${say('signIn')}</a></p>`
  const door = await desk.admission.door()
  const form = html`<form method="post" action="${at('/oauth/new-account')}">${formToken(visit)}${hidden('continue', shown.next)}
${door === 'token' && tokenField(visit, shown.token)}
${credentialFields(visit, shown.username, 'new')}
${termsFields(visit, await desk.admission.terms())}
<button class="main">${say('make')}</button></form>`
  return page(visit, desk.home, {
    title: say('newAccountAt', { home: desk.home }),
    ...(shown.failure && { status: shown.failure.status, failure: shown.failure.text }),
    body: door === 'closed' ? html`<p>${say('closed')}</p>${login}` : html`${form}${login}`,
  })
}

const faults: Readonly<Record<string, TextKey>> = {
  M_USER_IN_USE: 'nameTaken',
  M_INVALID_USERNAME: 'badName',
  M_WEAK_PASSWORD: 'weakPassword',
  M_INVALID_PARAM: 'weakPassword',
  M_FORBIDDEN: 'badInvitation',
}

async function makeAccount(desk: Desk, visit: Visit, form: Form): Promise<Reply> {
  const next = continueTo(form.continue)
  const { username = '', password = '', token } = form
  const again = (failure: Shown['failure']): Promise<Reply> =>
    newAccountPage(desk, visit, { next, username, token, failure })
  try {
    desk.rateLimits.take('registration', visit.ip)
    await desk.admission.requireMayRegister(username)
    const policies = await desk.admission.terms()
    if (!agreesTo(form, policies)) return await again({ status: 400, text: visit.say('mustAgree') })
    const { userId } = await desk.admission.register(
      { username, password, session: null },
      { registrationToken: token ?? null, accepted: policies },
    )
    return await enter(desk, visit, userId, next)
  } catch (error) {
    const known = error instanceof MatrixError ? faults[error.errcode] : undefined
    const failure =
      known && error instanceof MatrixError
        ? { status: error.status, text: visit.say(known) }
        : failureText(error, visit.say)
    if (!failure) throw error
    return again(failure)
  }
}

export const newAccountPageRoutes = (desk: Desk): readonly Route[] => [
  route(showNewAccount, ({ query, request }) =>
    show(desk, request, (visit) =>
      newAccountPage(desk, visit, {
        next: continueTo(query.continue),
        username: hinted(query.login_hint)?.replace(/^@([^:]*):.*$/, '$1'),
        token: query.token,
      }),
    ),
  ),
  route(makeNewAccount, ({ request }) => take(desk, request, (visit, form) => makeAccount(desk, visit, form))),
]
