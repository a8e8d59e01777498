/** What people do with their e-mail addresses in a browser: setting a new password, and an account's own list. */
import {
  changeAddresses,
  sendForgottenPassword,
  showAddresses,
  showForgottenPassword,
} from '../../../shared/api/oauth/pages.ts'
import { MatrixError } from '../../../shared/matrix/errors.ts'
import { canonicalEmail, requireNotSuspended } from '../../accounts/index.ts'
import { type Reply, type Route, route } from '../../http/route.ts'
import type { EmailPurpose } from '../../identity/index.ts'
import { provesPassword } from './account-pages.ts'
import { navigation, whose } from './account-views.ts'
import { type Desk, isError, loginFirst, show, take } from './desk.ts'
import type { Form } from './form.ts'
import { type Html, html } from './html.ts'
import { formToken, hidden, page } from './page.ts'
import type { TextKey } from './texts.ts'
import { type Failure, failureText, type Visit } from './visit.ts'

type Owner = Visit & { readonly userId: string }

const SECRET_BYTES = 24
const FORGOTTEN = '/oauth/forgot-password'
const ADDRESSES = '/account/addresses'

/** What a form remembers of the mail that was sent. */
interface Sent {
  readonly email: string
  readonly sid: string
  readonly secret: string
}

/**
 * @param userId whose address it is to be as soon as the link is confirmed
 * @throws MatrixError as `EmailValidation.request`; 429 M_LIMIT_EXCEEDED
 */
export async function sendMail(
  desk: Desk,
  visit: Visit,
  purpose: EmailPurpose,
  email: string,
  userId?: string,
): Promise<Sent> {
  desk.rateLimits.take('mail', visit.ip)
  desk.rateLimits.take('mailTo', canonicalEmail(email.slice(0, 255)))
  const secret = desk.random.bytes(SECRET_BYTES).toString('base64url')
  const wish = {
    purpose,
    email,
    clientSecret: secret,
    sendAttempt: 1,
    language: visit.language,
    ...(userId !== undefined && { userId }),
  }
  return { email, secret, sid: await desk.emails.request(wish) }
}

const sentIn = ({ email = '', sid = '', secret = '' }: Form): Sent => ({ email, sid, secret })

const emailField = ({ say }: Visit): Html => html`<label>${say('emailAddress')}
<input name="email" type="email" autocomplete="email" maxlength="254" required></label>`

const sentFields = ({ say }: Visit, { email, sid, secret }: Sent): Html =>
  html`<p>${say('mailSent', { address: email })}</p>${hidden('email', email)}${hidden('sid', sid)}${hidden('secret', secret)}`

/** What a person reads of an error that they may do something about. */
function failureOf(error: unknown, { say }: Visit): Failure {
  const known: Readonly<Record<string, TextKey>> = {
    M_INVALID_PARAM: 'badAddress',
    M_THREEPID_IN_USE: 'addressInUse',
    M_THREEPID_AUTH_FAILED: 'linkNotOpened',
  }
  const key = error instanceof MatrixError ? known[error.errcode] : undefined
  if (key) return { status: 400, text: say(key) }
  const failure = failureText(error, say)
  if (!failure) throw error
  return failure
}

const notOpened = (): MatrixError => new MatrixError('M_THREEPID_AUTH_FAILED', 400, 'The link has not been opened')

// --- a forgotten password

function forgottenPage(desk: Desk, visit: Visit, { sent, failure }: { sent?: Sent; failure?: Failure } = {}): Reply {
  const { say, at } = visit
  const fields = sent
    ? html`${sentFields(visit, sent)}
<label>${say('newPassword')}<small>${say('passwordHint')}</small>
<input name="new_password" type="password" autocomplete="new-password" required></label>
<button class="main">${say('changePassword')}</button>`
    : html`${emailField(visit)}<button class="main">${say('sendMail')}</button>`
  return page(visit, desk.home, {
    title: say('forgottenTitle'),
    failure,
    body: html`<form method="post" action="${at(FORGOTTEN)}">${formToken(visit)}${fields}</form>`,
  })
}

/** Proves by mail instead of by the old password. */
async function setForgotten(desk: Desk, visit: Visit, form: Form): Promise<Reply> {
  const { say, at } = visit
  const sent = sentIn(form)
  try {
    desk.rateLimits.take('guess', visit.ip)
    const proof = await desk.emails.findProof({ purpose: 'reset', sid: sent.sid, clientSecret: sent.secret })
    const userId = proof && (await desk.accounts.thirdPartyIds.findOwner('email', proof.address))
    if (userId === undefined) throw notOpened()
    const newPassword = form.new_password ?? ''
    await desk.accounts.changePassword({ userId, newPassword, logOut: true, keep: null })
    await desk.emails.consume(sent.sid)
    const note = html`<p class="note" role="status">${say('passwordChanged')}</p>`
    return page(visit, desk.home, {
      title: say('forgottenTitle'),
      body: html`${note}<p><a href="${at('/oauth/login')}">${say('signIn')}</a></p>`,
    })
  } catch (error) {
    const isWeak = isError(error, 'M_WEAK_PASSWORD', 'M_INVALID_PARAM')
    const failure = isWeak ? { status: 400, text: say('weakPassword') } : failureOf(error, visit)
    return forgottenPage(desk, visit, { sent, failure })
  }
}

async function takeForgotten(desk: Desk, visit: Visit, form: Form): Promise<Reply> {
  if (form.sid !== undefined) return setForgotten(desk, visit, form)
  try {
    return forgottenPage(desk, visit, { sent: await sendMail(desk, visit, 'reset', form.email ?? '') })
  } catch (error) {
    return forgottenPage(desk, visit, { failure: failureOf(error, visit) })
  }
}

// --- the addresses of an account

const ownForm = (visit: Visit, action: string, content: Html): Html =>
  html`<form method="post" action="${visit.at(ADDRESSES)}">${formToken(visit)}${hidden('action', action)}${content}</form>`

async function addressesPage(
  desk: Desk,
  visit: Owner,
  { sent, note, failure }: { sent?: Sent; note?: string; failure?: Failure } = {},
): Promise<Reply> {
  const { say } = visit
  const own = await desk.accounts.thirdPartyIds.list(visit.userId)
  const items = own.map(({ address }) => {
    const button = html`<button aria-label="${`${say('removeAddress')}: ${address}`}">${say('removeAddress')}</button>`
    return html`<li><p><strong>${address}</strong></p>${ownForm(visit, 'remove', html`${hidden('address', address)}${button}`)}</li>`
  })
  const add = sent
    ? ownForm(
        visit,
        'add',
        html`${sentFields(visit, sent)}<label>${say('yourPassword')}
<input name="password" type="password" autocomplete="current-password" required></label>
<button class="main">${say('addAddress')}</button>`,
      )
    : ownForm(visit, 'ask', html`${emailField(visit)}<button class="main">${say('sendMail')}</button>`)
  return page(visit, desk.home, {
    title: say('addresses'),
    failure,
    body: html`${note !== undefined && html`<p class="note" role="status">${note}</p>`}<p>${say('addressesHint')}</p>
${items.length > 0 && html`<ul class="list">${items}</ul>`}
${desk.emails.isPossible && html`<h2>${say('addAddress')}</h2>${add}`}
${navigation(visit, 'addresses', desk.emails.isPossible)}${whose(visit)}`,
  })
}

async function addAddress(desk: Desk, visit: Owner, form: Form): Promise<Reply> {
  const sent = sentIn(form)
  try {
    const proof = await desk.emails.findProof({ purpose: 'add', sid: sent.sid, clientSecret: sent.secret })
    if (!proof) throw notOpened()
    if (!(await provesPassword(desk, visit, form))) {
      return addressesPage(desk, visit, { sent, failure: { status: 403, text: visit.say('wrongOwnPassword') } })
    }
    await desk.accounts.thirdPartyIds.add(visit.userId, proof)
    await desk.emails.consume(sent.sid)
    return addressesPage(desk, visit, { note: visit.say('saved') })
  } catch (error) {
    return addressesPage(desk, visit, { sent, failure: failureOf(error, visit) })
  }
}

async function takeAddresses(desk: Desk, visit: Owner, form: Form): Promise<Reply> {
  if (form.action === 'add') return addAddress(desk, visit, form)
  try {
    if (form.action === 'ask') {
      return await addressesPage(desk, visit, { sent: await sendMail(desk, visit, 'add', form.email ?? '') })
    }
    if (form.action !== 'remove') return await addressesPage(desk, visit)
    requireNotSuspended({ isSuspended: (await desk.accounts.findAccount(visit.userId))?.isSuspended ?? false })
    await desk.accounts.thirdPartyIds.remove(visit.userId, 'email', form.address ?? '')
    return await addressesPage(desk, visit, { note: visit.say('saved') })
  } catch (error) {
    return addressesPage(desk, visit, { failure: failureOf(error, visit) })
  }
}

export const emailPageRoutes = (desk: Desk): readonly Route[] => [
  route(showForgottenPassword, ({ request }) => show(desk, request, async (visit) => forgottenPage(desk, visit))),
  route(sendForgottenPassword, ({ request }) => take(desk, request, (visit, form) => takeForgotten(desk, visit, form))),

  route(showAddresses, ({ request }) =>
    show(desk, request, async (visit) => {
      const { userId } = visit
      if (userId === undefined) return loginFirst(visit, '/oauth/login', ADDRESSES)
      return addressesPage(desk, { ...visit, userId })
    }),
  ),
  route(changeAddresses, ({ request }) =>
    take(desk, request, async (visit, form) => {
      const { userId } = visit
      if (userId === undefined) return loginFirst(visit, '/oauth/login', ADDRESSES)
      return takeAddresses(desk, { ...visit, userId }, form)
    }),
  ),
]
