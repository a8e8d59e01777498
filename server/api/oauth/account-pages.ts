/** The user's own account, in a browser. Spec: client-server-api §Account management (OAuth 2.0 API). */
import { changeAccount, showAccount } from '../../../shared/api/oauth/pages.ts'
import { requireGoodPassword, requireNotSuspended } from '../../accounts/index.ts'
import { type Reply, type Route, route } from '../../http/route.ts'
import { type AccountAction, accountActionOf } from './account-actions.ts'
import {
  deactivateView,
  deviceDeleteView,
  deviceName,
  devicesView,
  deviceView,
  navigation,
  profileView,
  resetView,
  whose,
} from './account-views.ts'
import { type Desk, isError, loginFirst, show, take } from './desk.ts'
import type { Form } from './form.ts'
import { type Html, html } from './html.ts'
import { page } from './page.ts'
import { type Failure, failureText, type Visit } from './visit.ts'

/** A visit of somebody who is logged in. */
type Owner = Visit & { readonly userId: string }

interface Shown {
  readonly action: AccountAction
  readonly deviceId?: string | undefined
  readonly note?: string
  readonly failure?: Failure
}

interface View {
  readonly title: string
  readonly body: Html
  readonly status?: number
}

async function viewOf(desk: Desk, visit: Owner, { action, deviceId }: Shown): Promise<View> {
  const { say, userId } = visit
  const { accounts } = desk
  if (action === 'org.matrix.devices_list') {
    return { title: say('devices'), body: devicesView(visit, await accounts.listDevices(userId)) }
  }
  if (action === 'org.matrix.account_deactivate') {
    return { title: say('deactivateTitle'), body: deactivateView(visit) }
  }
  if (action === 'org.matrix.cross_signing_reset') return { title: say('resetTitle'), body: resetView(visit) }
  if (action === 'org.matrix.profile') {
    const { displayname } = await accounts.profileOf(userId)
    return { title: say('profile'), body: profileView(visit, typeof displayname === 'string' ? displayname : '') }
  }
  const device = await accounts.findDevice(userId, deviceId ?? '')
  if (!device) return { title: say('noSuchDevice'), body: html``, status: 404 }
  const name = deviceName(visit, device)
  if (action === 'org.matrix.device_view') return { title: name, body: deviceView(visit, device) }
  return { title: say('removeTitle', { device: name }), body: deviceDeleteView(visit, device) }
}

async function accountPage(desk: Desk, visit: Owner, shown: Shown): Promise<Reply> {
  const { title, body, status } = await viewOf(desk, visit, shown)
  const { note, failure } = shown
  return page(visit, desk.home, {
    title,
    status: status ?? 200,
    failure,
    body: html`${note !== undefined && html`<p class="note" role="status">${note}</p>`}${body}
${navigation(visit, shown.action, desk.emails.isPossible)}${whose(visit)}`,
  })
}

/** Whether the form holds the password of whoever is logged in. Counted like a login. */
export async function provesPassword(desk: Desk, visit: Owner, form: Form): Promise<boolean> {
  desk.rateLimits.take('login', visit.ip)
  const identifier = { type: 'm.id.user', user: visit.userId } as const
  const proof = { identifier, password: form.password ?? '', ip: visit.ip }
  return (await desk.accounts.findByPassword(proof)) === visit.userId
}

async function changePassword(desk: Desk, visit: Owner, form: Form): Promise<Reply> {
  const { say, userId } = visit
  const shown = { action: 'org.matrix.profile' } as const
  try {
    requireGoodPassword(form.new_password ?? '')
  } catch (error) {
    if (!isError(error, 'M_WEAK_PASSWORD', 'M_INVALID_PARAM')) throw error
    return accountPage(desk, visit, { ...shown, failure: { status: 400, text: say('weakPassword') } })
  }
  const newPassword = form.new_password ?? ''
  await desk.accounts.changePassword({ userId, newPassword, logOut: form.logout_devices === 'yes', keep: null })
  // All browsers are logged out by it; this one has just proven the password.
  const secret = await desk.oauth.browserSessions.open(userId)
  return accountPage(
    desk,
    { ...desk.visits.withSecret(visit, secret), userId },
    { ...shown, note: say('passwordChanged') },
  )
}

async function act(desk: Desk, visit: Owner, form: Form): Promise<Reply> {
  const { say, userId } = visit
  const action = accountActionOf(form.action)
  const isPassword = form.action === 'password'
  const shown = { action, deviceId: form.device_id }
  if (isPassword || action === 'org.matrix.account_deactivate' || action === 'org.matrix.cross_signing_reset') {
    if (!(await provesPassword(desk, visit, form))) {
      return accountPage(desk, visit, { ...shown, failure: { status: 403, text: say('wrongOwnPassword') } })
    }
  }
  if (isPassword) return changePassword(desk, visit, form)
  if (action === 'org.matrix.device_delete') {
    await desk.accounts.removeDevices(userId, [form.device_id ?? ''])
    return accountPage(desk, visit, { action: 'org.matrix.devices_list', note: say('removed') })
  }
  if (action === 'org.matrix.cross_signing_reset') {
    await desk.oauth.resetApprovals.approve(userId)
    return page(visit, desk.home, {
      title: say('reset'),
      body: html`<p class="note" role="status">${say('resetDone')}</p>`,
    })
  }
  if (action === 'org.matrix.account_deactivate') {
    await desk.accounts.deactivate({ userId, erase: form.erase === 'yes' })
    return page(visit, desk.home, { title: say('deactivated'), body: html`` })
  }
  if (action === 'org.matrix.profile') {
    requireNotSuspended({ isSuspended: (await desk.accounts.findAccount(userId))?.isSuspended ?? false })
    await desk.accounts.setProfileField(userId, 'displayname', form.displayname ?? '')
    return accountPage(desk, visit, { action, note: say('saved') })
  }
  return accountPage(desk, visit, shown)
}

/** What accounts say against the change is said on the page that it was made on. */
async function tryToAct(desk: Desk, visit: Owner, form: Form): Promise<Reply> {
  try {
    return await act(desk, visit, form)
  } catch (error) {
    const failure = failureText(error, visit.say)
    if (!failure) throw error
    return accountPage(desk, visit, { action: accountActionOf(form.action), deviceId: form.device_id, failure })
  }
}

export const accountPageRoutes = (desk: Desk): readonly Route[] => [
  route(showAccount, ({ query, request }) =>
    show(desk, request, async (visit) => {
      const action = accountActionOf(query.action)
      const deviceId = query.device_id
      const { userId } = visit
      if (userId !== undefined) return accountPage(desk, { ...visit, userId }, { action, deviceId })
      const wish = new URLSearchParams({ action, ...(deviceId !== undefined && { device_id: deviceId }) })
      return loginFirst(visit, '/oauth/login', `/account?${wish}`)
    }),
  ),

  route(changeAccount, ({ request }) =>
    take(desk, request, async (visit, form) => {
      const { userId } = visit
      if (userId === undefined) return loginFirst(visit, '/oauth/login', '/account')
      return tryToAct(desk, { ...visit, userId }, form)
    }),
  ),
]
