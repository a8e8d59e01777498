import { formBrowser, type Page } from './form-browser.ts'
import { type AtEnd, startSmtp } from './smtp-server.ts'
import { startTestServer, type TestServer, type TestServerOptions } from './test-server.ts'

/** A home that can send mail, and the mailboxes that it sends to. */
export interface MailHome extends AsyncDisposable {
  readonly server: TestServer
  /** The text of the newest mail, and whom it went to. */
  newest(): { readonly to: string; readonly subject: string; readonly text: string; readonly link: string | undefined }
  readonly count: number
  /** Asks for a mail. @returns the session, as clients name it later */
  ask(path: string, email: string, more?: object): Promise<{ sid: string; client_secret: string }>
  /** Opens the link of the newest mail, and confirms it. */
  openLink(): Promise<Page>
}

/** @param atEnd when the mailboxes go; at the end of the test where it is not given */
export async function startMailHome(options: TestServerOptions = {}, atEnd?: AtEnd): Promise<MailHome> {
  const { port, received } = await startSmtp(undefined, atEnd)
  const mail = { smtp_url: `smtp://127.0.0.1:${port}`, from: 'Home <home@example.org>' }
  const server = await startTestServer({ ...options, config: { mail, ...options.config } })
  let asked = 0

  const newest: MailHome['newest'] = () => {
    const { to, source } = received.at(-1) ?? { to: [], source: '' }
    const [head = '', ...body] = source.split('\r\n\r\n')
    const text = plainText(head, body.join('\r\n\r\n'))
    const subject = /^Subject: (.*)$/m.exec(head)?.[1] ?? ''
    return { to: to.join(), subject, text, link: /https?:\/\/\S+/.exec(text)?.[0] }
  }
  return {
    server,
    newest,
    get count() {
      return received.length
    },
    async ask(path, email, more = {}) {
      asked += 1
      const client_secret = `secret.${asked}`
      const { status, body } = await server.api().post(path, { email, client_secret, send_attempt: 1, ...more })
      if (status !== 200) throw new Error(`no mail: ${status} ${JSON.stringify(body)}`)
      return { client_secret, sid: String(body.sid) }
    },
    async openLink() {
      const browser = formBrowser(server.baseUrl)
      await browser.get(newest().link ?? '')
      return browser.submit('/submit_token')
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
}

function plainText(head: string, body: string): string {
  const encoding = /^Content-Transfer-Encoding: (.*)$/im.exec(head)?.[1]?.trim()
  if (encoding === 'base64') return Buffer.from(body, 'base64').toString()
  if (encoding !== 'quoted-printable') return body
  const bytes = body
    .replaceAll('=\r\n', '')
    .replace(/=([0-9A-F]{2})/g, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)))
  return Buffer.from(bytes, 'latin1').toString()
}
