/** What people see who open the link in a mail. Spec: data/api/identity/v2_email_associations.yaml, for what it does. */
import { confirmEmailLink, showEmailLink } from '../../../shared/api/fallback/pages.ts'
import { type Reply, type Route, route } from '../../http/route.ts'
import type { EmailPurpose, EmailValidation, OpenLink } from '../../identity/index.ts'
import { type Form, readForm } from '../oauth/form.ts'
import { type Html, html } from '../oauth/html.ts'
import { formTargetOf, hidden, redirect } from '../oauth/page.ts'
import type { TextKey } from '../oauth/texts.ts'
import type { Failure } from '../oauth/visit.ts'
import type { FallbackDesk } from './desk.ts'
import { type Guest, showTo } from './reader.ts'

const hints: Readonly<Record<EmailPurpose, TextKey>> = {
  register: 'linkRegister',
  add: 'linkAdd',
  reset: 'linkReset',
}

const overPage = ({ show, say }: Guest): Reply =>
  show({ title: say('failed'), failure: { status: 404, text: say('linkOver') }, body: html`` })

type LinkDesk = Pick<FallbackDesk, 'home' | 'baseUrl' | 'accounts' | 'rateLimits'>

/** @param token what the link holds */
function confirmPage({ home }: LinkDesk, guest: Guest, link: OpenLink, token: string, failure?: Failure): Reply {
  const { say, at, show } = guest
  const { purpose, address, nextLink, userId } = link
  const proof = userId !== null && passwordField(guest, userId)
  return show({
    title: say('linkConfirmTitle'),
    failure,
    ...(nextLink !== null && { leadsTo: formTargetOf(nextLink) }),
    body: html`<p>${say(hints[purpose], { home, address })}</p>
${nextLink !== null && html`<p>${say('leadsTo')} <strong>${new URL(nextLink).host}</strong></p>`}
<form method="post" action="${at('/_hearth/client/v1/email/submit_token')}">${hidden('token', token)}${proof}
<button class="main">${say('linkConfirm')}</button></form>`,
  })
}

/** The name is there for password managers, and for the person to see which account it is. */
const passwordField = ({ say }: Guest, userId: string): Html => html`<label>${say('username')}
<input name="username" value="${userId}" autocomplete="username" readonly></label>
<label>${say('yourPassword')}
<input name="password" type="password" autocomplete="current-password" required></label>`

/** A mail may have gone to somebody else than it was meant for, who could then set a new password. */
async function provesAccount({ accounts, rateLimits }: LinkDesk, guest: Guest, userId: string, form: Form) {
  rateLimits.take('login', guest.ip)
  const identifier = { type: 'm.id.user', user: userId } as const
  return (await accounts.findByPassword({ identifier, password: form.password ?? '', ip: guest.ip })) === userId
}

export const emailLinkRoutes = (desk: LinkDesk, emails: EmailValidation): readonly Route[] => [
  route(showEmailLink, ({ query, request }) =>
    showTo(desk, request, async (guest) => {
      const { token = '' } = query
      const link = await emails.findLink(token)
      return link ? confirmPage(desk, guest, link, token) : overPage(guest)
    }),
  ),

  route(confirmEmailLink, ({ request }) =>
    showTo(desk, request, async (guest) => {
      const { say, show } = guest
      const form = await readForm(request)
      const { token = '' } = form
      const found = await emails.findLink(token)
      if (!found) return overPage(guest)
      if (found.userId !== null && !(await provesAccount(desk, guest, found.userId, form))) {
        return confirmPage(desk, guest, found, token, { status: 403, text: say('wrongOwnPassword') })
      }
      const link = await emails.confirm(token)
      if (!link) return overPage(guest)
      if (link.nextLink !== null) return redirect(link.nextLink)
      return show({ title: say('authDone'), body: html`<p>${say('authDoneHint')}</p>` })
    }),
  ),
]
