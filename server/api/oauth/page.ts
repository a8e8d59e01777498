import { hash } from 'node:crypto'
import { Reply } from '../../http/route.ts'
import { Html, html } from './html.ts'
import { pageStyle } from './page-style.ts'
import type { Failure, Visit } from './visit.ts'

const style = new Html(`<style>${pageStyle}</style>`)
const styleHash = hash('sha256', pageStyle, 'base64')

/** What a page must know of who reads it. */
export type Reader = Pick<Visit, 'language' | 'setCookie'>

/** One that a specification asks for word by word. Nothing of a request is ever in it. */
export interface PageScript {
  readonly text: string
}

/**
 * Nothing is loaded, nothing runs but what we name, no frame holds it. Browsers apply `form-action` to where a form's answer redirects, too, so a
 * page whose form leads back to a client names the client's kind of address.
 */
const policyOf = ({ leadsTo, script }: Pick<PageContent, 'leadsTo' | 'script'>): string =>
  [
    "default-src 'none'",
    `style-src 'sha256-${styleHash}'`,
    ...(script ? [`script-src 'sha256-${hash('sha256', script.text, 'base64')}'`] : []),
    `form-action 'self'${leadsTo === undefined ? '' : ` ${leadsTo}`}`,
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ].join('; ')

const headersOf = (visit: Reader, content: PageContent): Readonly<Record<string, string>> => ({
  'content-type': 'text/html; charset=utf-8',
  'content-security-policy': policyOf(content),
  'cache-control': 'no-store',
  'x-frame-options': 'DENY',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), microphone=(), geolocation=()',
  // With none at all, browsers hide from us that a form came from our own page.
  'referrer-policy': 'same-origin',
  vary: 'Accept-Language, Cookie',
  'content-language': visit.language,
  ...(visit.setCookie !== undefined && { 'set-cookie': visit.setCookie }),
  ...(content.failure?.retryAfterMs !== undefined && {
    'retry-after': String(Math.ceil(content.failure.retryAfterMs / 1000)),
  }),
})

/** The source expression for where a redirect URI leads. Clients may redirect on, within https. */
export function formTargetOf(redirectUri: string): string {
  const { protocol, origin, hostname } = new URL(redirectUri)
  // Policies have no way to name an IPv6 address.
  return protocol === 'http:' && !hostname.startsWith('[') ? origin : protocol
}

export interface PageContent {
  readonly title: string
  readonly body: Html
  /** Where the forms of the page may lead besides us: from `formTargetOf`. */
  readonly leadsTo?: string
  /** That of a page that nothing failed on; 200 without. */
  readonly status?: number
  /** Shown above all else. */
  readonly failure?: Failure | undefined
  readonly script?: PageScript
}

/** A whole page. */
export function page(visit: Reader, home: string, content: PageContent): Reply {
  const { title, body, status, failure, script } = content
  const alert = failure && html`<p class="failure" role="alert">${failure.text}</p>`
  const text = html`<!doctype html>
<html lang="${visit.language}">
<meta charset="utf-8"><meta name="viewport" content="width=device-width"><meta name="robots" content="noindex">
<title>${title} · ${home}</title>
${style}
<header>${home}</header>
<main>
<h1>${title}</h1>
${alert}
${body}
</main>
${script && new Html(`<script>${script.text}</script>`)}
</html>`.text
  return new Reply({
    status: failure?.status ?? status ?? 200,
    headers: headersOf(visit, content),
    body: Buffer.from(text),
  })
}

/** Sends the browser on, as the answer to a form or to a page that is not the right one now. */
export function redirect(location: string, setCookie?: string): Reply {
  return new Reply({
    status: 303,
    headers: {
      location,
      'cache-control': 'no-store',
      ...(setCookie !== undefined && { 'set-cookie': setCookie }),
    },
    body: null,
  })
}

/** What every form of ours carries. */
export const formToken = (visit: Visit): Html =>
  html`<input type="hidden" name="form_token" value="${visit.formToken}">`

export const hidden = (name: string, value: string | undefined): Html | undefined =>
  value === undefined ? undefined : html`<input type="hidden" name="${name}" value="${value}">`
