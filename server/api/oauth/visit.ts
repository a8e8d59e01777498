import { hash, timingSafeEqual } from 'node:crypto'
import { MatrixError } from '../../../shared/matrix/errors.ts'
import type { RequestInfo } from '../../http/route.ts'
import { BROWSER_SESSION_LIFETIME_MS, type OAuth } from '../../oauth/index.ts'
import type { Random } from '../../observe/environment.ts'
import type { Form } from './form.ts'
import { type Language, languageOf, type Say, sayIn } from './texts.ts'

/** A browser at one of our pages. */
export interface Visit {
  /** Who is logged in in this browser. */
  readonly userId: string | undefined
  /** What a form of ours carries, so that no other site can send it. */
  readonly formToken: string
  /** To be sent along where the browser has no cookie yet. */
  readonly setCookie: string | undefined
  /** What the cookie holds. */
  readonly secret: string
  readonly ip: string
  readonly language: Language
  readonly say: Say
  /** Our path as the browser must ask for it: behind a proxy, the home may live below a path. */
  readonly at: (path: string) => string
}

/** A form that no page of ours has made for this browser. */
export class StaleForm extends Error {
  override readonly name = 'StaleForm'
}

const COOKIE_BYTES = 32
const formTokenOf = (secret: string): string => hash('sha256', `form ${secret}`, 'base64url')

/** Cookies of our pages. Spec: RFC 6265bis §4.1.3.2 for the name's prefix. */
export class Visits {
  readonly #oauth: OAuth
  readonly #random: Random
  readonly #baseUrl: () => string

  constructor(oauth: OAuth, random: Random, baseUrl: () => string) {
    this.#oauth = oauth
    this.#random = random
    this.#baseUrl = baseUrl
  }

  async of(request: RequestInfo): Promise<Visit> {
    const known = this.#secretOf(request)
    const secret = known ?? this.#random.bytes(COOKIE_BYTES).toString('base64url')
    const userId = known === undefined ? undefined : await this.#oauth.browserSessions.find(known)
    const language = languageOf(request.headers['accept-language'])
    const prefix = new URL(this.#baseUrl()).pathname.replace(/\/+$/, '')
    return {
      userId,
      formToken: formTokenOf(secret),
      setCookie: known === undefined ? this.cookie(secret) : undefined,
      secret,
      ip: request.ip,
      language,
      say: sayIn(language),
      at: (path) => prefix + path,
    }
  }

  /** The same visit with another cookie, which the answer sets. */
  withSecret(visit: Visit, secret: string): Visit {
    return { ...visit, secret, formToken: formTokenOf(secret), setCookie: this.cookie(secret) }
  }

  /** @throws StaleForm unless it came from a page of ours in this browser */
  requireOwn(visit: Visit, form: Form, request: RequestInfo): void {
    const site = request.headers['sec-fetch-site']
    const given = Buffer.from(form.form_token ?? '')
    const wanted = Buffer.from(visit.formToken)
    const isOwn = given.length === wanted.length && timingSafeEqual(given, wanted) && visit.setCookie === undefined
    if (!isOwn || (site !== undefined && site !== 'same-origin' && site !== 'none')) throw new StaleForm('not our form')
  }

  /** The header that gives the browser this secret. */
  cookie(secret: string): string {
    const maxAge = Math.floor(BROWSER_SESSION_LIFETIME_MS / 1000)
    const secure = this.#isSecure ? '; Secure' : ''
    return `${this.#cookieName}=${secret}; Path=/; HttpOnly; SameSite=Lax; Max-Age=${maxAge}${secure}`
  }

  get #isSecure(): boolean {
    return this.#baseUrl().startsWith('https:')
  }

  get #cookieName(): string {
    return this.#isSecure ? '__Host-hearth' : 'hearth'
  }

  #secretOf(request: RequestInfo): string | undefined {
    const name = this.#cookieName
    for (const pair of (request.headers.cookie ?? '').split(';')) {
      const [key, value] = pair.trim().split('=', 2)
      if (key === name && value !== undefined && /^[A-Za-z0-9_-]{40,64}$/.test(value)) return value
    }
    return undefined
  }
}

/** Something that failed and that a person may try again. */
export interface Failure {
  readonly status: number
  /** What they are told. */
  readonly text: string
  /** Until a try may succeed, where it was too many tries that failed. */
  readonly retryAfterMs?: number
}

/** @returns `undefined` for what no person can do anything about */
export function failureText(error: unknown, say: Say): Failure | undefined {
  if (error instanceof StaleForm) return { status: 403, text: say('staleForm') }
  if (!(error instanceof MatrixError)) return undefined
  if (error.errcode === 'M_LIMIT_EXCEEDED') {
    return { status: 429, text: say('tooMany'), retryAfterMs: Number(error.extra.retry_after_ms) }
  }
  if (error.errcode === 'M_USER_LOCKED') return { status: 403, text: say('locked') }
  return { status: error.status, text: error.message }
}
