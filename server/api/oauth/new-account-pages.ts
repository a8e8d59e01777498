/** Making an account: for everybody, or for those who were invited. */
import { makeNewAccount, showNewAccount } from '../../../shared/api/oauth/pages.ts'
import { MatrixError } from '../../../shared/matrix/errors.ts'
import { canonicalEmail } from '../../accounts/index.ts'
import { type Policies, translationOf } from '../../household/index.ts'
import { type Reply, type Route, route } from '../../http/route.ts'
import { isMailAddress } from '../../mail/index.ts'
import { continueTo, type Desk, show, take } from './desk.ts'
import { sendMail } from './email-pages.ts'
import type { Form } from './form.ts'
import { type Html, html } from './html.ts'
import { credentialFields, enter, entered, hinted, withoutPrompt } from './login-pages.ts'
import { formToken, hidden, page } from './page.ts'
import type { TextKey } from './texts.ts'
import { type Failure, failureText, type Visit } from './visit.ts'

const MAX_TOKEN_LENGTH = 64
const MAX_EMAIL_LENGTH = 254

interface Shown {
  readonly next: string
  readonly username?: string | undefined
  readonly token?: string | undefined
  readonly email?: string | undefined
  readonly failure?: Failure | undefined
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

const emailField = ({ say }: Visit, email: string | undefined): Html =>
  html`<label>${say('emailAddress')}<small>${say('emailOptional')}</small>
<input name="email" type="email" value="${email}" autocomplete="email" maxlength="${MAX_EMAIL_LENGTH}"></label>`

async function newAccountPage(desk: Desk, visit: Visit, shown: Shown): Promise<Reply> {
  const { say, at } = visit
  const elsewhere = at(`/oauth/login?${new URLSearchParams({ continue: shown.next })}`)
  const login = html`<p>${say('haveAccount')} <a href="${elsewhere}">${say('signIn')}</a></p>`
  const door = await desk.admission.door()
  const form = html`<form method="post" action="${at('/oauth/new-account')}">${formToken(visit)}${hidden('continue', shown.next)}
${door === 'token' && tokenField(visit, shown.token)}
${credentialFields(visit, shown.username, 'new')}
${desk.emails.isPossible && emailField(visit, shown.email)}
${termsFields(visit, await desk.admission.terms())}
<button class="main">${say('make')}</button></form>`
  return page(visit, desk.home, {
    title: say('newAccountAt', { home: desk.home }),
    failure: shown.failure,
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

/** The account is there, whatever becomes of the mail. */
async function welcome(
  desk: Desk,
  visit: Visit,
  { userId, email, next }: { readonly userId: string; readonly email: string; readonly next: string },
): Promise<Reply> {
  const { say, at } = visit
  const isSent = await sendMail(desk, visit, 'add', email, userId).then(
    () => true,
    (error: unknown) => {
      // Too many mails, or a mail server that is down: the person is told.
      if (error instanceof MatrixError) return false
      throw error
    },
  )
  return page(await entered(desk, visit, userId), desk.home, {
    title: say('accountMade', { home: desk.home }),
    body: html`<p${!isSent && html` class="failure" role="alert"`}>${say(isSent ? 'mailSoon' : 'mailFailed', { address: email })}</p>
<p><a href="${at(withoutPrompt(next))}">${say('goOn')}</a></p>`,
  })
}

async function makeAccount(desk: Desk, visit: Visit, form: Form): Promise<Reply> {
  const next = continueTo(form.continue)
  const { username = '', password = '', token } = form
  const email = desk.emails.isPossible ? (form.email ?? '').trim() : ''
  const again = (failure: Shown['failure']): Promise<Reply> =>
    newAccountPage(desk, visit, { next, username, token, email, failure })
  try {
    desk.rateLimits.take('registration', visit.ip)
    await desk.admission.requireMayRegister(username)
    const policies = await desk.admission.terms()
    if (email !== '' && !isMailAddress(canonicalEmail(email.slice(0, MAX_EMAIL_LENGTH + 1)))) {
      return await again({ status: 400, text: visit.say('badAddress') })
    }
    if (!agreesTo(form, policies)) return await again({ status: 400, text: visit.say('mustAgree') })
    const { userId } = await desk.admission.register(
      { username, password, session: null },
      { registrationToken: token ?? null, accepted: policies },
    )
    if (email !== '') return await welcome(desk, visit, { userId, email, next })
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
