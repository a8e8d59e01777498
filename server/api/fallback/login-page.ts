/** A whole login in a page. Spec: client-server-api §Login Fallback. */
import { doLoginFallback, showLoginFallback } from '../../../shared/api/fallback/pages.ts'
import { typedIdentifier } from '../../accounts/index.ts'
import { type Reply, type Route, route } from '../../http/route.ts'
import { isError } from '../oauth/desk.ts'
import { type Form, readForm } from '../oauth/form.ts'
import { html } from '../oauth/html.ts'
import { credentialFields } from '../oauth/login-pages.ts'
import { hidden, type PageScript } from '../oauth/page.ts'
import { type Failure, failureText } from '../oauth/visit.ts'
import { sessionReply, sessionRequestOf } from '../session-reply.ts'
import type { FallbackDesk } from './desk.ts'
import { type Guest, showTo } from './reader.ts'

/** The answer stands in the page as data, so that the script is the same for all and the policy can name it. */
const ON_LOGIN: PageScript = {
  text: `
if (window.matrixLogin && window.matrixLogin.onLogin) {
    window.matrixLogin.onLogin(JSON.parse(document.querySelector("meta[name=matrix-login]").content));
}
`,
}

function loginPage(guest: Guest, home: string, form: Form, failure?: Failure): Reply {
  const { say, at } = guest
  return guest.show({
    title: say('signInTo', { home }),
    failure,
    body: html`<form method="post" action="${at('/_matrix/static/client/login/')}">
${hidden('device_id', form.device_id)}${hidden('initial_device_display_name', form.initial_device_display_name)}
${hidden('refresh_token', form.refresh_token)}
${credentialFields(guest, form.username, 'current')}
<button class="main">${say('signIn')}</button></form>`,
  })
}

async function logIn({ accounts, rateLimits, home }: FallbackDesk, guest: Guest, form: Form): Promise<Reply> {
  const { say, ip } = guest
  const { username = '', password = '', device_id, initial_device_display_name } = form
  try {
    rateLimits.take('login', ip)
    const proof = { identifier: typedIdentifier(username), password, ip }
    const refresh_token = form.refresh_token === 'true'
    const wish = sessionRequestOf({ device_id, initial_device_display_name, refresh_token })
    const reply = JSON.stringify(sessionReply(await accounts.logIn(proof, wish)))
    return guest.show({
      title: say('authDone'),
      body: html`<meta name="matrix-login" content="${reply}"><p>${say('authDoneHint')}</p>`,
      script: ON_LOGIN,
    })
  } catch (error) {
    if (isError(error, 'M_FORBIDDEN')) return loginPage(guest, home, form, { status: 403, text: say('wrongPassword') })
    const failure = failureText(error, say)
    if (!failure) throw error
    return loginPage(guest, home, form, failure)
  }
}

export const loginPageRoutes = (desk: FallbackDesk): readonly Route[] => [
  route(showLoginFallback, ({ query, request }) =>
    showTo(desk, request, async (guest) => loginPage(guest, desk.home, query)),
  ),
  route(doLoginFallback, ({ request }) =>
    showTo(desk, request, async (guest) => logIn(desk, guest, await readForm(request))),
  ),
]
