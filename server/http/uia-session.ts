import { createHash } from 'node:crypto'
import { forbidden, type MatrixError } from '../../shared/matrix/errors.ts'
import type { Environment } from '../observe/environment.ts'
import { EMAIL, type Proof } from './uia-stages.ts'

/** How long a client may take from the first 401 to the last stage. */
const SESSION_LIFETIME_MS = 15 * 60_000
/** Where a mail has to come, and to be read. */
const SESSION_LIFETIME_WITH_MAIL_MS = 60 * 60_000
/** How long the result is kept for a client that lost the answer and asks again. */
const RESULT_LIFETIME_MS = 60_000
/** The oldest is forgotten first; its client is asked to begin anew. */
const MAX_SESSIONS = 10_000
const SESSION_ID_BYTES = 18

/** What a session is about, as its newest request says. */
export interface SessionCall {
  readonly operation: string
  readonly body: object
  readonly userId: string | null
  readonly flows: readonly (readonly string[])[]
  readonly params?: StageParams | undefined
}

/** What clients are told of stages. */
export type StageParams = Readonly<Record<string, Readonly<Record<string, unknown>>>>

export interface UiaSession {
  readonly id: string
  readonly operation: string
  readonly userId: string | null
  expiresTs: number
  flows: SessionCall['flows']
  params: StageParams
  completed: readonly string[]
  /** Digest of the newest body that held more than `auth`. */
  seenBody: string | undefined
  /** Digest of the body at the first completed stage: from then on it may not change. */
  body: string | undefined
  proof: Proof
  result: Promise<unknown> | undefined
}

/** Sessions of user-interactive authentication, in bounded memory. */
export class UiaSessions {
  readonly #environment: Environment
  /** In the order in which they were begun. */
  readonly #sessions = new Map<string, UiaSession>()

  constructor(environment: Environment) {
    this.#environment = environment
  }

  begin(call: SessionCall): UiaSession {
    if (this.#sessions.size >= MAX_SESSIONS) {
      const [oldest] = this.#sessions.keys()
      if (oldest !== undefined) this.#sessions.delete(oldest)
    }
    const { clock, random } = this.#environment
    const hasMail = call.flows.some((stages) => stages.includes(EMAIL))
    const session: UiaSession = {
      id: random.bytes(SESSION_ID_BYTES).toString('base64url'),
      operation: call.operation,
      userId: call.userId,
      expiresTs: clock.now() + (hasMail ? SESSION_LIFETIME_WITH_MAIL_MS : SESSION_LIFETIME_MS),
      flows: call.flows,
      params: call.params ?? {},
      completed: [],
      seenBody: bodySeenIn(call),
      body: undefined,
      proof: { userId: null, registrationToken: null, email: null },
      result: undefined,
    }
    this.#sessions.set(session.id, session)
    return session
  }

  /** @returns `undefined` for an ID of none that is still there */
  get(id: string): UiaSession | undefined {
    const session = this.#sessions.get(id)
    if (!session || session.expiresTs > this.#environment.clock.now()) return session
    this.#sessions.delete(id)
    return undefined
  }

  /**
   * The session that a client names, or a new one where it names none that is still there.
   * @throws MatrixError 403 M_FORBIDDEN for a session of another request
   */
  find(call: SessionCall, id: string | undefined): UiaSession {
    const session = id === undefined ? undefined : this.get(id)
    if (!session) return this.begin(call)
    if (session.operation !== call.operation || session.userId !== call.userId) throw changed()
    requireSameBody(session, call.body)
    session.flows = call.flows
    session.params = call.params ?? {}
    session.seenBody = bodySeenIn(call) ?? session.seenBody
    return session
  }

  /** Does the work once, and keeps its result a while. */
  perform<T>(session: UiaSession, work: (proof: Proof) => Promise<T>): Promise<T> {
    // One session completes one operation, so what the promise gives is what this operation's work gives.
    if (session.result) return session.result as Promise<T>
    const { clock } = this.#environment
    const result = work(session.proof)
    session.result = result
    session.expiresTs = clock.now() + RESULT_LIFETIME_MS
    clock.after(RESULT_LIFETIME_MS, () => this.#sessions.delete(session.id))
    result.catch(() => this.#sessions.delete(session.id))
    return result
  }
}

const changed = (): MatrixError => forbidden('This authentication session was begun for another request')

/** @throws MatrixError 403 M_FORBIDDEN */
export function requireSameBody(session: UiaSession, body: object): void {
  if (session.body !== undefined && session.body !== digestOf(body)) throw changed()
}

function bodySeenIn({ body }: SessionCall): string | undefined {
  return Object.keys(body).some((key) => key !== 'auth') ? digestOf(body) : undefined
}

/** The same for bodies that say the same in another order of keys; `auth` does not count. */
export function digestOf(body: object): string {
  const { auth: _auth, ...others } = body as Record<string, unknown>
  return createHash('sha256')
    .update(JSON.stringify(sorted(others)))
    .digest('base64url')
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return { entries: entries.map(([key, item]) => [key, sorted(item)]) }
}
