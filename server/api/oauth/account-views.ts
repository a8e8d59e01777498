/** What the account page shows for each action. */
import type { Device } from '../../accounts/index.ts'
import type { AccountAction } from './account-actions.ts'
import { type Html, html } from './html.ts'
import { formToken, hidden } from './page.ts'
import type { TextKey } from './texts.ts'
import type { Visit } from './visit.ts'

/** Where an action lives on the page. */
export function actionUrl(visit: Visit, action: AccountAction, deviceId?: string): string {
  const query = new URLSearchParams({ action, ...(deviceId !== undefined && { device_id: deviceId }) })
  return visit.at(`/account?${query}`)
}

const places: readonly (readonly [AccountAction, TextKey])[] = [
  ['org.matrix.profile', 'profile'],
  ['org.matrix.devices_list', 'devices'],
  ['org.matrix.cross_signing_reset', 'reset'],
  ['org.matrix.account_deactivate', 'deactivate'],
]

/** @param hasMail whether the home can send mails, so that addresses are of use */
export function navigation(visit: Visit, current: AccountAction | 'addresses', hasMail: boolean): Html {
  const { say, at } = visit
  const link = (url: string, text: TextKey, isHere: boolean): Html =>
    html`<li><a href="${url}"${isHere && html` aria-current="page"`}>${say(text)}</a></li>`
  const [profile, ...others] = places.map(([action, text]) => link(actionUrl(visit, action), text, action === current))
  const addresses = link(at('/account/addresses'), 'addresses', current === 'addresses')
  return html`<nav aria-label="${say('accountTitle')}"><ul>${profile}${hasMail && addresses}${others}</ul></nav>`
}

/** Whose page it is, and the way out of it. */
export const whose = (
  visit: Visit,
): Html => html`<form method="post" action="${visit.at('/oauth/logout')}">${formToken(visit)}
<p>${visit.say('signedInAs')} <strong>${visit.userId}</strong></p><button>${visit.say('signOut')}</button></form>`

function form(visit: Visit, action: AccountAction | 'password', content: Html): Html {
  return html`<form method="post" action="${visit.at('/account')}">${formToken(visit)}${hidden('action', action)}${content}</form>`
}

const ownPassword = ({ say }: Visit): Html => html`<label>${say('yourPassword')}
<input name="password" type="password" autocomplete="current-password" required></label>`

/** For password managers, which file a new password under its user. */
const ownName = ({ userId }: Visit): Html =>
  html`<input type="hidden" name="username" value="${userId}" autocomplete="username">`

export function profileView(visit: Visit, displayName: string): Html {
  const { say } = visit
  const name = html`<label>${say('displayName')}
<input name="displayname" value="${displayName}" autocomplete="nickname"></label><button class="main">${say('save')}</button>`
  const password = html`${ownName(visit)}${ownPassword(visit)}
<label>${say('newPassword')}<small>${say('passwordHint')}</small>
<input name="new_password" type="password" autocomplete="new-password" required></label>
<label class="check"><input type="checkbox" name="logout_devices" value="yes">${say('signOutOthers')}</label>
<button>${say('changePassword')}</button>`
  return html`${form(visit, 'org.matrix.profile', name)}
<h2>${say('changePassword')}</h2>${form(visit, 'password', password)}`
}

export const deviceName = ({ say }: Visit, device: Device): string => device.displayName || say('unnamed')

export function devicesView(visit: Visit, devices: readonly Device[]): Html {
  const { say } = visit
  if (devices.length === 0) return html`<p>${say('noDevices')}</p>`
  const items = devices.map(
    (device) => html`<li><p><strong>${deviceName(visit, device)}</strong> · ${device.deviceId}</p>
${seen(visit, device)}<p><a href="${actionUrl(visit, 'org.matrix.device_view', device.deviceId)}"
aria-label="${say('view')}: ${deviceName(visit, device)}, ${device.deviceId}">${say('view')}</a></p></li>`,
  )
  return html`<ul class="list">${items}</ul>`
}

function timeOf({ language }: Visit, ts: number): Html {
  const date = new Date(ts)
  const text = date.toLocaleString(language, { dateStyle: 'medium', timeStyle: 'short', timeZone: 'UTC' })
  return html`<time datetime="${date.toISOString()}">${text} UTC</time>`
}

const seen = (visit: Visit, { lastSeenTs }: Device): Html | null =>
  lastSeenTs === null ? null : html`<p>${visit.say('lastSeen')}: ${timeOf(visit, lastSeenTs)}</p>`

export function deviceView(visit: Visit, device: Device): Html {
  const { say } = visit
  const facts: readonly (readonly [TextKey, string | Html | null])[] = [
    ['deviceId', device.deviceId],
    ['signedInOn', timeOf(visit, device.createdTs)],
    ['lastSeen', device.lastSeenTs === null ? null : timeOf(visit, device.lastSeenTs)],
    ['address', device.lastSeenIp],
    ['kind', device.lastSeenUserAgent],
  ]
  const rows = facts.filter(([, fact]) => fact).map(([text, fact]) => html`<dt>${say(text)}</dt><dd>${fact}</dd>`)
  return html`<dl>${rows}</dl>
<p><a href="${actionUrl(visit, 'org.matrix.device_delete', device.deviceId)}">${say('remove')}</a></p>`
}

export function deviceDeleteView(visit: Visit, device: Device): Html {
  const { say } = visit
  return form(
    visit,
    'org.matrix.device_delete',
    html`<p>${say('removeHint')}</p>${hidden('device_id', device.deviceId)}<button class="danger">${say('remove')}</button>`,
  )
}

export function deactivateView(visit: Visit): Html {
  const { say } = visit
  return form(
    visit,
    'org.matrix.account_deactivate',
    html`<p>${say('deactivateHint')}</p>${ownPassword(visit)}
<label class="check"><input type="checkbox" name="erase" value="yes">${say('erase')}</label>
<button class="danger">${say('deactivate')}</button>`,
  )
}

export function resetView(visit: Visit): Html {
  const { say } = visit
  return form(
    visit,
    'org.matrix.cross_signing_reset',
    html`<p>${say('resetHint')}</p>${ownPassword(visit)}<button class="danger">${say('resetButton')}</button>`,
  )
}
