import { hash, timingSafeEqual } from 'node:crypto'
import { invalidParam, MatrixError } from '../../shared/matrix/errors.ts'
import { type Accounts, canonicalEmail } from '../accounts/index.ts'
import { isMailAddress, type Mail } from '../mail/index.ts'
import type { Environment } from '../observe/environment.ts'
import { put, remove, type Store } from '../store/index.ts'
import { type Language, mailText } from './mail-text.ts'
import { type EmailPurpose, type EmailSessionRow, emailSessionRows } from './store.ts'

/** From the newest mail to its link, and from the link to what it is for. */
const LIFETIME_MS = 60 * 60_000
const MAX_SESSIONS = 10_000
const SECRET_BYTES = 24
const MAX_URL_LENGTH = 2_000
/** Spec: data/api/identity/definitions/request_email_validation.yaml. */
const CLIENT_SECRET = /^[0-9a-zA-Z.=_-]{1,255}$/

export interface EmailRequest {
  readonly purpose: EmailPurpose
  readonly email: string
  readonly clientSecret: string
  readonly sendAttempt: number
  readonly nextLink?: string | undefined
  readonly language: Language
  /** Whose address it is to be as soon as the link is confirmed; otherwise who asks comes back with the session. */
  readonly userId?: string
}

/** A link that was found to be good. */
export interface OpenLink {
  readonly purpose: EmailPurpose
  readonly address: string
  /** Where the person is sent afterwards. */
  readonly nextLink: string | null
  /** The account that gets the address with it. Its password is to be asked for: whoever reads the mail may be somebody else. */
  readonly userId: string | null
}

/** Shows that somebody reads the mail of an address. Spec: client-server-api, `/requestToken` of e-mail addresses. */
export interface EmailValidation {
  /** Whether there is a way to send mail. */
  readonly isPossible: boolean
  /**
   * Sends a mail with a link, or one that says why there is none: an address that has an account cannot get another, one without
   * has no password to reset. The answer is the same, so that nobody learns who has an account here.
   * @returns the session's ID
   * @throws MatrixError 403 M_THREEPID_DENIED, 400 M_THREEPID_MEDIUM_NOT_SUPPORTED where no mail can be sent; 400 M_INVALID_PARAM;
   * 502 M_UNKNOWN where it was not sent
   */
  request(wish: EmailRequest): Promise<string>
  /** Looks a link up, without using it: programs that scan mails open links, too. */
  findLink(token: string): Promise<OpenLink | undefined>
  /**
   * The person has confirmed the link; where it names an account, and has shown that it is theirs. Doing it again changes nothing.
   * @throws MatrixError 400 M_THREEPID_IN_USE, M_INVALID_PARAM where the account cannot have the address
   */
  confirm(token: string): Promise<OpenLink | undefined>
  /** @returns `undefined` unless the link was opened, not long ago, and for this purpose */
  findProof(session: {
    readonly purpose: EmailPurpose
    readonly sid: string
    readonly clientSecret: string
  }): Promise<{ readonly address: string; readonly validatedTs: number } | undefined>
  /** What it was for has been done. */
  consume(sid: string): Promise<void>
}

const digestOf = (...parts: readonly string[]): string => hash('sha256', parts.join('\0'), 'base64url')

/**
 * @param linkBase the page that a mail's link leads to, without its query
 * @param homeName what people call the home
 */
export function createEmailValidation({
  environment,
  store,
  accounts,
  mail,
  linkBase,
  homeName,
}: {
  environment: Environment
  store: Store
  accounts: Pick<Accounts, 'thirdPartyIds'>
  mail: Pick<Mail, 'send'> | undefined
  linkBase: () => string
  homeName: () => Promise<string>
}): EmailValidation {
  const { clock, random, logger } = environment
  const secret = (): string => random.bytes(SECRET_BYTES).toString('base64url')
  const isAlive = (row: EmailSessionRow): boolean => row.expiresTs > clock.now()

  async function findSession(index: 'attempt' | 'tokenHash', value: string): Promise<EmailSessionRow | undefined> {
    const rows = await store.home.range(emailSessionRows, { index, from: value, to: `${value}\0` })
    return rows.find(isAlive)
  }

  /** Forgets what has expired, and the oldest where there are very many. */
  async function spareSessions(): Promise<readonly EmailSessionRow[]> {
    const expired = await store.home.range(emailSessionRows, { index: 'expiresTs', to: clock.now() + 1 })
    const count = (await store.home.count(emailSessionRows)) - expired.length
    if (count < MAX_SESSIONS) return expired
    return store.home.range(emailSessionRows, { index: 'expiresTs', limit: expired.length + 1 + count - MAX_SESSIONS })
  }

  async function send(row: EmailSessionRow, token: string | undefined, language: Language): Promise<void> {
    const owner = await accounts.thirdPartyIds.findOwner('email', row.address)
    const link = token === undefined ? undefined : `${linkBase()}?${new URLSearchParams({ token })}`
    const home = await homeName()
    try {
      await mail?.send({ to: row.address, ...mailText({ purpose: row.purpose, language, home, owner, link }) })
    } catch (error) {
      logger.warn({ event: 'identity.mail_not_sent', why: error instanceof Error ? error.message : String(error) })
      throw new MatrixError('M_UNKNOWN', 502, 'The mail could not be sent')
    }
  }

  const linkOf = ({ purpose, address, nextLink, userId }: EmailSessionRow): OpenLink => ({
    purpose,
    address,
    nextLink,
    userId: userId ?? null,
  })

  async function findByToken(token: string): Promise<EmailSessionRow | undefined> {
    return token.length > 0 && token.length <= 128 ? findSession('tokenHash', digestOf(token)) : undefined
  }

  return {
    isPossible: mail !== undefined,

    async request({ purpose, email, clientSecret, sendAttempt, nextLink, language, userId = null }) {
      if (!mail) throw notPossible(purpose)
      const address = canonicalEmail(email)
      if (!isMailAddress(address)) throw invalidParam("'email' must be one plain mail address")
      if (!CLIENT_SECRET.test(clientSecret))
        throw invalidParam("'client_secret' holds 1 to 255 letters, digits and . = _ -")
      if (nextLink !== undefined) requireWebUrl(nextLink)
      const attempt = digestOf(purpose, address, clientSecret)
      return store.exclusive(`email-session:${attempt}`, async () => {
        const known = await findSession('attempt', attempt)
        if (known && sendAttempt <= known.sendAttempt) return known.sid
        const isOwned = (await accounts.thirdPartyIds.findOwner('email', address)) !== undefined
        const token = isOwned === (purpose === 'reset') ? secret() : undefined
        const row: EmailSessionRow = {
          sid: known?.sid ?? secret(),
          purpose,
          address,
          clientSecretHash: digestOf(clientSecret),
          attempt,
          sendAttempt,
          tokenHash: token === undefined ? '' : digestOf(token),
          nextLink: nextLink ?? null,
          userId,
          validatedTs: known?.validatedTs ?? null,
          expiresTs: clock.now() + LIFETIME_MS,
        }
        const spare = await spareSessions()
        await store.commit(() => [
          ...spare.filter(({ sid }) => sid !== row.sid).map(({ sid }) => remove(emailSessionRows, sid)),
          put(emailSessionRows, { ...row, sendAttempt: known?.sendAttempt ?? -1 }),
        ])
        await send(row, token, language)
        // A mail that was not sent is sent when the client asks again.
        await store.commit(() => [put(emailSessionRows, row)])
        return row.sid
      })
    },

    async findLink(token) {
      const row = await findByToken(token)
      return row && linkOf(row)
    },

    async confirm(token) {
      const found = await findByToken(token)
      if (!found) return undefined
      return store.exclusive(`email-session:${found.attempt}`, async () => {
        const row = await findByToken(token)
        if (!row) return undefined
        if (row.validatedTs === null) {
          const validatedTs = clock.now()
          if (typeof row.userId === 'string')
            await accounts.thirdPartyIds.add(row.userId, { address: row.address, validatedTs })
          await store.commit(() => [
            put(emailSessionRows, { ...row, validatedTs, expiresTs: validatedTs + LIFETIME_MS }),
          ])
        }
        return linkOf(row)
      })
    },

    async findProof({ purpose, sid, clientSecret }) {
      const row = await store.home.get(emailSessionRows, sid)
      if (row?.purpose !== purpose || row.validatedTs === null) return undefined
      if (row.validatedTs + LIFETIME_MS <= clock.now()) return undefined
      const isRight = timingSafeEqual(Buffer.from(digestOf(clientSecret)), Buffer.from(row.clientSecretHash))
      return isRight ? { address: row.address, validatedTs: row.validatedTs } : undefined
    },

    async consume(sid) {
      await store.commit(() => [remove(emailSessionRows, sid)])
    },
  }
}

function notPossible(purpose: EmailPurpose): MatrixError {
  if (purpose === 'add') {
    return new MatrixError('M_THREEPID_MEDIUM_NOT_SUPPORTED', 400, 'This server sends no mail')
  }
  return new MatrixError('M_THREEPID_DENIED', 403, 'This server sends no mail')
}

/** @throws MatrixError 400 M_INVALID_PARAM */
function requireWebUrl(text: string): void {
  const fits = text.length <= MAX_URL_LENGTH && /^https?:\/\/[\x21-\x7e]+$/i.test(text) && URL.canParse(text)
  if (!fits) throw invalidParam("'next_link' must be an http or https URL")
}
