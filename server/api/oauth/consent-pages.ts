/** Agreeing to a client, in the browser that it sent here. Spec: client-server-api §Authorisation code flow. */
import { decideAuthorization, showAuthorization } from '../../../shared/api/oauth/pages.ts'
import { type Reply, type Route, route } from '../../http/route.ts'
import { type AuthorizationRequest, type Client, OAuthError } from '../../oauth/index.ts'
import { type Desk, loginFirst, show, take } from './desk.ts'
import type { Form } from './form.ts'
import { type Html, html } from './html.ts'
import { formTargetOf, formToken, hidden, page, redirect } from './page.ts'
import type { Visit } from './visit.ts'

/** What the consent form carries back, so that what was shown is what is decided. */
const CARRIED = [
  'response_type',
  'response_mode',
  'client_id',
  'redirect_uri',
  'scope',
  'state',
  'code_challenge',
  'code_challenge_method',
] as const

function parametersOf(query: Form): URLSearchParams {
  const parameters = new URLSearchParams()
  for (const name of [...CARRIED, 'prompt'] as const) {
    const value = query[name]
    if (value !== undefined) parameters.set(name, value)
  }
  return parameters
}

export const clientName = (client: Client): string => client.client_name ?? new URL(client.client_uri).hostname

/** What a page says of a client: its name is its own word, the host is what we have checked. */
export function clientFacts(visit: Visit, client: Client, userId: string, redirectUri?: string): Html {
  const { say } = visit
  const to = redirectUri === undefined ? undefined : new URL(redirectUri)
  const leadsTo = to && (to.protocol === 'https:' ? to.host : say('thisComputer'))
  const link = (url: string | undefined, text: string): Html | undefined =>
    url === undefined ? undefined : html`<a href="${url}" target="_blank" rel="noopener noreferrer">${text}</a> `
  return html`<dl>
<dt>${say('app')}</dt><dd>${clientName(client)}</dd>
<dt>${say('website')}</dt><dd>${new URL(client.client_uri).host}</dd>
<dt>${say('account')}</dt><dd>${userId}</dd>
${leadsTo !== undefined && html`<dt>${say('leadsTo')}</dt><dd>${leadsTo}</dd>`}
</dl>
<p>${say('itMay')}</p><ul><li>${say('mayRead')}</li><li>${say('mayProfile')}</li></ul><p>${say('mayNot')}</p>
${(client.tos_uri ?? client.policy_uri) !== undefined && html`<p>${link(client.tos_uri, say('terms'))}${link(client.policy_uri, say('policy'))}</p>`}`
}

/** Said where the client asks for a device that the user has already. */
export async function replacementNote(
  desk: Desk,
  visit: Visit,
  userId: string,
  deviceId: string,
): Promise<Html | undefined> {
  const device = await desk.accounts.findDevice(userId, deviceId)
  if (!device) return undefined
  return html`<p class="note">${visit.say('replaces', { device: device.displayName ?? device.deviceId })}</p>`
}

export const decisionButtons = ({ say }: Visit): Html => html`<p class="buttons">
<button class="main" name="decision" value="allow">${say('allow')}</button>
<button name="decision" value="deny">${say('cancel')}</button></p>`

/** Signs out of the pages, and comes back to where a login is needed. */
export const otherAccount = (
  visit: Visit,
  next: string,
): Html => html`<form method="post" action="${visit.at('/oauth/logout')}">
${formToken(visit)}${hidden('continue', next)}<button class="quiet">${visit.say('otherAccount')}</button></form>`

async function consentPage(
  desk: Desk,
  visit: Visit,
  asked: { request: AuthorizationRequest; userId: string; parameters: URLSearchParams },
): Promise<Reply> {
  const { request, userId, parameters } = asked
  const carried = CARRIED.map((name) => hidden(name, parameters.get(name) ?? undefined)).filter(
    (one) => one !== undefined,
  )
  parameters.delete('prompt')
  return page(visit, desk.home, {
    title: visit.say('consentTitle', { client: clientName(request.client) }),
    leadsTo: formTargetOf(request.redirectUri),
    body: html`${clientFacts(visit, request.client, userId, request.redirectUri)}
${await replacementNote(desk, visit, userId, request.scope.deviceId)}
<form method="post" action="${visit.at('/oauth/authorize')}">${formToken(visit)}${carried}${decisionButtons(visit)}</form>
${otherAccount(visit, `/oauth/authorize?${parameters}`)}`,
  })
}

export const consentPageRoutes = (desk: Desk): readonly Route[] => [
  route(showAuthorization, ({ query, request: info }) =>
    show(desk, info, async (visit) => {
      const request = await desk.oauth.authorization.read(query)
      const parameters = parametersOf(query)
      const { prompts } = request
      const { userId } = visit
      if (prompts.has('none')) {
        const code = userId === undefined ? 'login_required' : 'consent_required'
        return redirect(desk.oauth.authorization.refuse(request, new OAuthError(code, 'The user has to be asked')))
      }
      const here = `/oauth/authorize?${parameters}`
      if (prompts.has('create')) return loginFirst(visit, '/oauth/new-account', here, query.login_hint)
      if (userId === undefined || prompts.has('login')) return loginFirst(visit, '/oauth/login', here, query.login_hint)
      return consentPage(desk, visit, { request, userId, parameters })
    }),
  ),

  route(decideAuthorization, ({ request: info }) =>
    take(desk, info, async (visit, form) => {
      const request = await desk.oauth.authorization.read(form)
      const { userId } = visit
      if (userId === undefined) return loginFirst(visit, '/oauth/login', `/oauth/authorize?${parametersOf(form)}`)
      desk.rateLimits.take('oauthClient', userId)
      if (form.decision !== 'allow') {
        const error = new OAuthError('access_denied', 'The user did not agree')
        return redirect(desk.oauth.authorization.refuse(request, error))
      }
      return redirect(await desk.oauth.authorization.allow(request, userId))
    }),
  ),
]
