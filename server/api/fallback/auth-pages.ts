/** Stages of user-interactive authentication, one page each. Spec: client-server-api §Fallback. */
import { doAuthFallback, showAuthFallback } from '../../../shared/api/fallback/pages.ts'
import { typedIdentifier } from '../../accounts/index.ts'
import type { Policies } from '../../household/index.ts'
import { type Reply, type Route, route } from '../../http/route.ts'
import { DUMMY, type FallbackStage, PASSWORD, REGISTRATION_TOKEN, TERMS } from '../../http/uia.ts'
import { type Form, readForm } from '../oauth/form.ts'
import { type Html, html } from '../oauth/html.ts'
import { credentialFields } from '../oauth/login-pages.ts'
import { agreesTo, termsFields, tokenField } from '../oauth/new-account-pages.ts'
import { hidden, type PageScript } from '../oauth/page.ts'
import type { FallbackDesk } from './desk.ts'
import { type Guest, showTo } from './reader.ts'

/** The specification's own words, which clients wait for. */
const AUTH_DONE: PageScript = {
  text: `
if (window.onAuthDone) {
    window.onAuthDone();
} else if (window.opener && window.opener.postMessage) {
    window.opener.postMessage("authDone", "*");
}
`,
}

const policiesOf = ({ params }: FallbackStage): Policies => (params.policies ?? {}) as Policies

/** What a stage asks for, and what of it goes into `auth`. */
interface StagePage {
  readonly fields: (guest: Guest, stage: FallbackStage, form: Form) => Html | readonly Html[]
  /** `undefined`: something is missing. */
  readonly auth: (form: Form, stage: FallbackStage) => Readonly<Record<string, unknown>> | undefined
}

const pages: Readonly<Record<string, StagePage>> = {
  [DUMMY]: { fields: () => html``, auth: () => ({}) },
  [TERMS]: {
    fields: (guest, stage) => termsFields(guest, policiesOf(stage)),
    auth: (form, stage) => (agreesTo(form, policiesOf(stage)) ? {} : undefined),
  },
  [PASSWORD]: {
    fields: (guest, _stage, form) => credentialFields(guest, form.username, 'current'),
    auth: ({ username = '', password = '' }) => ({ identifier: typedIdentifier(username), password }),
  },
  [REGISTRATION_TOKEN]: {
    fields: (guest, _stage, form) => tokenField(guest, form.token),
    auth: ({ token = '' }) => ({ token }),
  },
}

interface Shown {
  readonly type: string
  readonly session: string
  readonly form?: Form
  readonly failure?: string
}

function stagePage(desk: FallbackDesk, guest: Guest, { type, session, form = {}, failure }: Shown): Reply {
  const { say, at } = guest
  const stage = desk.uia.findStage(session, type)
  if (stage?.isDone) {
    return guest.show({ title: say('authDone'), body: html`<p>${say('authDoneHint')}</p>`, script: AUTH_DONE })
  }
  const page = Object.hasOwn(pages, type) ? pages[type] : undefined
  if (!page || !stage?.isNext) {
    return guest.show({ title: say('failed'), failure: { status: 404, text: say('authOver') }, body: html`` })
  }
  const action = at(`/_matrix/client/v3/auth/${encodeURIComponent(type)}/fallback/web`)
  return guest.show({
    title: say('authTitle'),
    failure: failure === undefined ? undefined : { status: 400, text: failure },
    body: html`<form method="post" action="${action}">${hidden('session', session)}
${page.fields(guest, stage, form)}
<button class="main">${say('goOn')}</button></form>`,
  })
}

async function doStage(desk: FallbackDesk, guest: Guest, type: string, form: Form): Promise<Reply> {
  const session = form.session ?? ''
  const stage = desk.uia.findStage(session, type)
  const fields = stage && Object.hasOwn(pages, type) ? pages[type]?.auth(form, stage) : {}
  const again = (failure: string): Reply => stagePage(desk, guest, { type, session, form, failure })
  if (!fields) return again(guest.say('mustAgree'))
  if (stage?.isNext) {
    desk.rateLimits.take(type === REGISTRATION_TOKEN ? 'guess' : 'login', guest.ip)
    const failed = await desk.uia.doStage(session, { type, fields, ip: guest.ip })
    if (failed) return again(guest.say(type === REGISTRATION_TOKEN ? 'badInvitation' : 'wrongPassword'))
  }
  return stagePage(desk, guest, { type, session })
}

export const authPageRoutes = (desk: FallbackDesk): readonly Route[] => [
  route(showAuthFallback, ({ path, query, request }) =>
    showTo(desk, request, async (guest) =>
      stagePage(desk, guest, { type: path.authType, session: query.session ?? '' }),
    ),
  ),
  route(doAuthFallback, ({ path, request }) =>
    showTo(desk, request, async (guest) => doStage(desk, guest, path.authType, await readForm(request))),
  ),
]
