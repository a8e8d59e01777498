/** Signing in a device that has no browser. Spec: client-server-api §Device authorisation flow, user interaction; RFC 8628 §3.3. */
import { decideDeviceLink, showDeviceLink } from '../../../shared/api/oauth/pages.ts'
import { type Reply, type Route, route } from '../../http/route.ts'
import type { WaitingDevice } from '../../oauth/index.ts'
import { clientFacts, clientName, decisionButtons, otherAccount, replacementNote } from './consent-pages.ts'
import { type Desk, loginFirst, show, take } from './desk.ts'
import { html } from './html.ts'
import { formToken, hidden, page } from './page.ts'
import type { Visit } from './visit.ts'

/** Longer than any code with whatever people type between its letters. */
const MAX_TYPED_LENGTH = 32

function codePage(desk: Desk, visit: Visit, failure?: string): Reply {
  const { say, at } = visit
  return page(visit, desk.home, {
    title: say('linkTitle'),
    failure: failure === undefined ? undefined : { status: 404, text: failure },
    body: html`<form method="get" action="${at('/link')}"><p>${say('linkHint')}</p>
<label>${say('code')}<input class="code" name="user_code" autocomplete="off" autocapitalize="characters" spellcheck="false"
maxlength="${MAX_TYPED_LENGTH}" required></label>
<button class="main">${say('goOn')}</button></form>`,
  })
}

async function decisionPage(desk: Desk, visit: Visit, waiting: WaitingDevice, userId: string): Promise<Reply> {
  const { client, deviceId, userCode } = waiting
  return page(visit, desk.home, {
    title: visit.say('consentTitle', { client: clientName(client) }),
    body: html`<p>${visit.say('linkCheck')}</p><p class="code">${userCode}</p>
${clientFacts(visit, client, userId)}
${await replacementNote(desk, visit, userId, deviceId)}
<form method="post" action="${visit.at('/link')}">${formToken(visit)}${hidden('user_code', userCode)}${decisionButtons(visit)}</form>
${otherAccount(visit, `/link?${new URLSearchParams({ user_code: userCode })}`)}`,
  })
}

export const linkPageRoutes = (desk: Desk): readonly Route[] => [
  route(showDeviceLink, ({ query, request }) =>
    show(desk, request, async (visit) => {
      const typed = query.user_code?.slice(0, MAX_TYPED_LENGTH) ?? ''
      const here = typed === '' ? '/link' : `/link?${new URLSearchParams({ user_code: typed })}`
      if (visit.userId === undefined) return loginFirst(visit, '/oauth/login', here)
      if (typed === '') return codePage(desk, visit)
      // Codes are short: whoever tries many is stopped, by account and by address.
      desk.rateLimits.take('login', visit.ip)
      desk.rateLimits.take('login', visit.userId)
      const waiting = await desk.oauth.deviceCodes.find(typed)
      if (!waiting) return codePage(desk, visit, visit.say('unknownCode'))
      return decisionPage(desk, visit, waiting, visit.userId)
    }),
  ),

  route(decideDeviceLink, ({ request }) =>
    take(desk, request, async (visit, form) => {
      const { userId, say } = visit
      if (userId === undefined) return loginFirst(visit, '/oauth/login', '/link')
      desk.rateLimits.take('login', userId)
      const isAllowed = form.decision === 'allow'
      const isDecided = await desk.oauth.deviceCodes.decide(form.user_code ?? '', userId, isAllowed)
      if (!isDecided) return codePage(desk, visit, say('unknownCode'))
      return page(visit, desk.home, {
        title: say(isAllowed ? 'linkAllowed' : 'linkDenied'),
        body: html`<p role="status">${say('linkAllowedHint')}</p>`,
      })
    }),
  ),
]
