import type { Reply, RequestInfo } from '../../http/route.ts'
import { OAuthError } from '../../oauth/index.ts'
import { html } from '../oauth/html.ts'
import { type PageContent, page, type Reader } from '../oauth/page.ts'
import { languageOf, type Say, sayIn } from '../oauth/texts.ts'
import { failureText } from '../oauth/visit.ts'
import type { FallbackDesk } from './desk.ts'

/** Somebody at a page that needs no cookie: what it does is allowed by a session, a token or a password in the form itself. */
export interface Guest extends Reader {
  readonly ip: string
  readonly say: Say
  /** Our path as the browser must ask for it: behind a proxy, the home may live below a path. */
  readonly at: (path: string) => string
  readonly show: (content: PageContent) => Reply
}

/** Shows a page; what goes wrong becomes one as well. */
export async function showTo(
  desk: Pick<FallbackDesk, 'home' | 'baseUrl'>,
  request: RequestInfo,
  work: (guest: Guest) => Promise<Reply>,
): Promise<Reply> {
  const language = languageOf(request.headers['accept-language'])
  const say = sayIn(language)
  const prefix = new URL(desk.baseUrl()).pathname.replace(/\/+$/, '')
  const reader = { language, setCookie: undefined }
  const show = (content: PageContent): Reply => page(reader, desk.home, content)
  try {
    return await work({ ...reader, say, ip: request.ip, at: (path) => prefix + path, show })
  } catch (error) {
    const failure =
      error instanceof OAuthError ? { status: error.status, text: error.message } : failureText(error, say)
    if (!failure) throw error
    return show({ title: say('failed'), failure, body: html`` })
  }
}
