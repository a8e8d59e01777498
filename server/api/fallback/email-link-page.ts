/** What people see who open the link in a mail. Spec: data/api/identity/v2_email_associations.yaml, for what it does. */
import { confirmEmailLink, showEmailLink } from '../../../shared/api/fallback/pages.ts'
import { type Reply, type Route, route } from '../../http/route.ts'
import type { EmailPurpose, EmailValidation } from '../../identity/index.ts'
import { readForm } from '../oauth/form.ts'
import { html } from '../oauth/html.ts'
import { formTargetOf, hidden, redirect } from '../oauth/page.ts'
import type { TextKey } from '../oauth/texts.ts'
import type { FallbackDesk } from './desk.ts'
import { type Guest, showTo } from './reader.ts'

const hints: Readonly<Record<EmailPurpose, TextKey>> = {
  register: 'linkRegister',
  add: 'linkAdd',
  reset: 'linkReset',
}

const overPage = ({ show, say }: Guest): Reply =>
  show({ title: say('failed'), status: 404, failure: say('linkOver'), body: html`` })

export const emailLinkRoutes = (
  desk: Pick<FallbackDesk, 'home' | 'baseUrl'>,
  emails: EmailValidation,
): readonly Route[] => [
  route(showEmailLink, ({ query, request }) =>
    showTo(desk, request, async (guest) => {
      const { say, at, show } = guest
      const link = await emails.findLink(query.token ?? '')
      if (!link) return overPage(guest)
      const { purpose, address, nextLink } = link
      return show({
        title: say('linkConfirmTitle'),
        ...(nextLink !== null && { leadsTo: formTargetOf(nextLink) }),
        body: html`<p>${say(hints[purpose], { home: desk.home, address })}</p>
${nextLink !== null && html`<p>${say('leadsTo')} <strong>${new URL(nextLink).host}</strong></p>`}
<form method="post" action="${at('/_hearth/client/v1/email/submit_token')}">${hidden('token', query.token)}
<button class="main">${say('linkConfirm')}</button></form>`,
      })
    }),
  ),

  route(confirmEmailLink, ({ request }) =>
    showTo(desk, request, async (guest) => {
      const link = await emails.confirm((await readForm(request)).token ?? '')
      if (!link) return overPage(guest)
      if (link.nextLink !== null) return redirect(link.nextLink)
      const { say, show } = guest
      return show({ title: say('authDone'), body: html`<p>${say('authDoneHint')}</p>` })
    }),
  ),
]
