import { endMails, getVapidKey, showUnsubscribe } from '../../../shared/api/hearth/push.ts'
import { Reply, type Route, route } from '../../http/route.ts'
import type { Push } from '../../push/index.ts'

export const hearthPushRoutes = ({ gateway, pushers }: Pick<Push, 'gateway' | 'pushers'>): readonly Route[] => [
  route(getVapidKey, async () => ({ public_key: await gateway.vapidPublicKey() })),

  route(showUnsubscribe, async ({ query, request }) => {
    const words = wordsFor(request.headers['accept-language'])
    if (!pushers.findByUnsubscribeKey(query.key)) return page(words, words.ended)
    // Without an action the form goes back to where it came from, key included.
    return page(words, words.ask, `<form method="post"><button>${words.button}</button></form>`)
  }),

  route(endMails, async ({ query, request }) => {
    await pushers.unsubscribe(query.key)
    const words = wordsFor(request.headers['accept-language'])
    return page(words, words.ended)
  }),
]

type Words = Readonly<Record<'lang' | 'title' | 'ask' | 'button' | 'ended', string>>
const english: Words = {
  lang: 'en',
  title: 'Mails about unread messages',
  ask: 'Do you want no more mails about messages that you have not read?',
  button: 'No more mails',
  ended: 'You get no more mails about unread messages.',
}
const german: Words = {
  lang: 'de',
  title: 'Mails über ungelesene Nachrichten',
  ask: 'Möchtest du keine Mails mehr über ungelesene Nachrichten?',
  button: 'Keine Mails mehr',
  ended: 'Du bekommst keine Mails mehr über ungelesene Nachrichten.',
}
const wordsFor = (acceptLanguage: string | undefined): Words => (/^de\b/i.test(acceptLanguage ?? '') ? german : english)

/** Nothing of the request is in it. */
function page({ lang, title }: Words, text: string, more = ''): Reply {
  const body = `<!doctype html><html lang="${lang}"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="robots" content="noindex"><title>${title}</title><main><h1>${title}</h1><p>${text}</p>${more}</main></html>`
  return new Reply({
    headers: {
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy': "default-src 'none'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
      'cache-control': 'no-store',
      'referrer-policy': 'no-referrer',
      vary: 'Accept-Language',
    },
    body: Buffer.from(body),
  })
}
