/**
 * The door of `mail/`: mail that the server sends by itself, over the SMTP server that its owner names in the configuration.
 */
import type { Transporter } from 'nodemailer'
import { RemoteError } from '../net/index.ts'
import type { Environment } from '../observe/environment.ts'

export interface MailToSend {
  /** One plain address, see `isMailAddress`. */
  readonly to: string
  /** One line; what would make two of it becomes a space. */
  readonly subject: string
  readonly text: string
  readonly html?: string
  /** Where a POST ends mails of this kind (RFC 8058). */
  readonly unsubscribeUrl?: string
}

export interface Mail extends Disposable {
  /**
   * Resolves when the SMTP server has taken the mail over, which says nothing of its arrival.
   * @throws RemoteError `refused` where the SMTP server will never take this mail, or where `to` is no address;
   *   `unreachable` also where too many mails wait already
   * @param signal gives up, if the SMTP server has not taken it over yet
   */
  send(mail: MailToSend, signal?: AbortSignal): Promise<void>
}

type RemoteFailure = RemoteError['failure']

/** Mails that wait or are being sent; those beyond are refused. */
const MAX_WAITING = 100
const CONNECTIONS = 2
/** For all of a mail, waiting included: a server that answers a byte at a time must not hold it for ever. */
const MAIL_TIMEOUT_MS = 120_000
const CONNECT_TIMEOUT_MS = 15_000
const SILENCE_TIMEOUT_MS = 30_000
const IDLE_MS = 30_000
const MAX_SUBJECT_LENGTH = 200
const MAX_ADDRESS_LENGTH = 254

/**
 * Whether mail can go there: a single address without a display name, quotes, comments or lists, so that nothing in it can
 * be read as a second address or as a header.
 */
export function isMailAddress(text: string): boolean {
  return (
    text.length <= MAX_ADDRESS_LENGTH &&
    /^[^\s\p{Cc}\p{Zl}\p{Zp}@<>()[\]\\,;:"]+@[^\s\p{Cc}\p{Zl}\p{Zp}@<>()[\]\\,;:"]+$/u.test(text)
  )
}

/** @returns `undefined` where the configuration names no SMTP server */
export function createMail(deps: {
  readonly environment: Environment
  readonly config: { readonly smtp_url: string; readonly from: string } | null
}): Mail | undefined {
  const { environment, config } = deps
  if (!config) return undefined
  const { from } = config
  const server = new URL(config.smtp_url)
  let transport: Promise<Transporter> | undefined
  let waiting = 0
  const closing = new AbortController()

  const failure = (how: RemoteFailure, why: string, cause?: unknown): RemoteError =>
    new RemoteError(server.host, how, why, { cause })

  async function deliver(mail: MailToSend, signal: AbortSignal): Promise<void> {
    const { to, subject, text, html, unsubscribeUrl } = mail
    transport ??= openTransport(server)
    await (await transport).sendMail({
      from,
      // As an object: an address that is not taken apart again cannot become two.
      to: { name: '', address: to },
      subject: oneLine(subject),
      text,
      ...(html !== undefined && { html }),
      date: new Date(environment.clock.now()),
      messageId: `<${environment.random.bytes(16).toString('hex')}@${new URL(`mail://${environment.serverName}`).hostname}>`,
      headers: {
        // RFC 3834: no out-of-office replies to a machine.
        'Auto-Submitted': 'auto-generated',
        ...(unsubscribeUrl !== undefined && {
          'List-Unsubscribe': `<${new URL(unsubscribeUrl).href}>`,
          'List-Unsubscribe-Post': 'List-Unsubscribe=One-Click',
        }),
      },
      signal,
    })
  }

  return {
    async send(mail, signal) {
      if (!isMailAddress(mail.to)) throw failure('refused', 'this is no mail address')
      if (closing.signal.aborted) throw failure('unreachable', 'the server is stopping')
      if (waiting >= MAX_WAITING) throw failure('unreachable', 'too many mails are waiting')
      waiting += 1
      try {
        const ends = [AbortSignal.timeout(MAIL_TIMEOUT_MS), closing.signal, ...(signal ? [signal] : [])]
        await deliver(mail, AbortSignal.any(ends))
      } catch (cause) {
        throw failure(failureOf(cause), whatWentWrong(cause), cause)
      } finally {
        waiting -= 1
      }
    },

    [Symbol.dispose]() {
      closing.abort()
      transport
        ?.then((opened) => opened.close())
        .catch(() => {
          // It never opened; each mail's sender was told.
        })
    },
  }
}

async function openTransport(server: URL): Promise<Transporter> {
  // It takes a while to load, and most homes never send a mail.
  const { createTransport } = await import('nodemailer')
  const isLocal = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(server.hostname)
  return createTransport({
    pool: true,
    host: server.hostname.replace(/^\[|\]$/g, ''),
    ...(server.port !== '' && { port: Number(server.port) }),
    secure: server.protocol === 'smtps:',
    ...(server.username !== '' && {
      auth: { user: decodeURIComponent(server.username), pass: decodeURIComponent(server.password) },
    }),
    maxConnections: CONNECTIONS,
    idleTimeout: IDLE_MS,
    maxRequeues: 1,
    connectionTimeout: CONNECT_TIMEOUT_MS,
    dnsTimeout: CONNECT_TIMEOUT_MS,
    greetingTimeout: CONNECT_TIMEOUT_MS,
    socketTimeout: SILENCE_TIMEOUT_MS,
    // A password never crosses a network in the clear, also where somebody in between hides STARTTLS.
    ...(server.protocol === 'smtp:' && server.username !== '' && !isLocal && { requireTLS: true }),
    // Text of others is in mails: it must never name a file or an address to be fetched.
    disableFileAccess: true,
    disableUrlAccess: true,
  })
}

function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ').slice(0, MAX_SUBJECT_LENGTH)
}

type SmtpError = Error & { readonly code?: string; readonly responseCode?: number }

function failureOf(cause: unknown): RemoteFailure {
  const { code, responseCode, name } = cause as SmtpError
  // Of a greeting or a login, 5xx says nothing about this mail.
  const isAboutMail = code === 'EENVELOPE' || code === 'EMESSAGE'
  if (isAboutMail && responseCode !== undefined && responseCode >= 500) return 'refused'
  if (code === 'ETIMEDOUT' || code === 'EABORT' || name === 'TimeoutError') return 'timeout'
  return code === 'EPROTOCOL' ? 'badAnswer' : 'unreachable'
}

/** Codes only: what the SMTP server says may quote the address or the mail. */
function whatWentWrong(cause: unknown): string {
  const { code, responseCode } = cause as SmtpError
  return `mail was not taken (${[code, responseCode].filter((part) => part !== undefined).join(' ') || 'no code'})`
}
