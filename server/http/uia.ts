import { createHash } from 'node:crypto'
import { forbidden, MatrixError } from '../../shared/matrix/errors.ts'
import { type Accounts, parseUserIdentifier } from '../accounts/index.ts'
import type { Environment } from '../observe/environment.ts'

/** How long a client may take from the first 401 to the last stage. */
const SESSION_LIFETIME_MS = 15 * 60_000
/** How long the result is kept for a client that lost the answer and asks again. */
const RESULT_LIFETIME_MS = 60_000
/** The oldest is forgotten first; its client is asked to begin anew. */
const MAX_SESSIONS = 10_000
const SESSION_ID_BYTES = 18
/** A longer one cannot be ours. */
const MAX_SESSION_ID_LENGTH = 64

export const DUMMY = 'm.login.dummy'
export const PASSWORD = 'm.login.password'

/** A request to an endpoint that wants the user to authenticate. */
export interface UiaCall {
  /** Names what is to be done, with all that its path says: a session never serves for another one. */
  readonly operation: string
  /** The whole body, with `auth` where the client sent it. */
  readonly body: object
  /** Whose password it must be; `null`: whoever proves theirs. */
  readonly userId: string | null
  /** Stages in their order, of which the client does one list. */
  readonly flows: readonly (readonly string[])[]
  readonly ip: string
  /** For flows of one stage that is done on a page of ours. Spec: client-server-api §OAuth authentication. */
  readonly elsewhere?: {
    /** What the client is told of each stage. */
    readonly params: Readonly<Record<string, Readonly<Record<string, unknown>>>>
    /** Whether the user has done it. */
    readonly isDone: () => Promise<boolean>
  }
  /** What can be said against the request before the user is asked for anything; throws it. */
  readonly check?: () => Promise<void>
}

/**
 * User-interactive authentication. Spec: client-server-api §User-Interactive Authentication API.
 * Sessions live in memory: after a restart a client is asked to begin anew.
 */
export interface Uia {
  /**
   * Does the work once all stages of a flow are done, and gives its result. The same request made again, with the session that
   * it completed, gets the same result and does nothing; after a failure it begins anew.
   * @param work gets the user whose password was given, `null` where no stage asked for one
   * @throws AuthenticationNeeded what is still to do
   * @throws MatrixError 403 M_FORBIDDEN for another user's password, or a session that belongs to another request; 400 and 429 of
   * the stages
   */
  run<T>(call: UiaCall, work: (provenUserId: string | null) => Promise<T>): Promise<T>
}

/** The 401 that says which stages there are. It has an `errcode` only after an attempt that failed. */
export class AuthenticationNeeded extends MatrixError {
  readonly #isFailure: boolean

  constructor(session: Session, call: UiaCall, failure?: MatrixError) {
    super(failure?.errcode ?? 'M_FORBIDDEN', 401, failure?.message ?? 'Authentication is needed', {
      flows: call.flows.map((stages) => ({ stages })),
      params: call.elsewhere?.params ?? {},
      session: session.id,
      ...(session.completed.length > 0 ? { completed: session.completed } : {}),
    })
    this.name = 'AuthenticationNeeded'
    this.#isFailure = failure !== undefined
  }

  override toBody(): Record<string, unknown> {
    return this.#isFailure ? super.toBody() : { ...this.extra }
  }
}

interface Session {
  readonly id: string
  readonly operation: string
  readonly userId: string | null
  expiresTs: number
  completed: string[]
  /** Digest of the body at the first completed stage: from then on it may not change. */
  body: string | undefined
  provenUserId: string | null
  result: Promise<unknown> | undefined
}

/** The stage of a request's `auth`, where it has one. */
interface Attempt {
  readonly session: string | undefined
  readonly type: string | undefined
  readonly fields: Readonly<Record<string, unknown>>
}

export function createUia({
  environment,
  accounts,
}: {
  environment: Environment
  accounts: Pick<Accounts, 'findByPassword'>
}): Uia {
  const { clock, random } = environment
  /** In the order in which they were begun. */
  const sessions = new Map<string, Session>()

  function begin(call: UiaCall): Session {
    if (sessions.size >= MAX_SESSIONS) {
      const [oldest] = sessions.keys()
      if (oldest !== undefined) sessions.delete(oldest)
    }
    const session: Session = {
      id: random.bytes(SESSION_ID_BYTES).toString('base64url'),
      operation: call.operation,
      userId: call.userId,
      expiresTs: clock.now() + SESSION_LIFETIME_MS,
      completed: [],
      body: undefined,
      provenUserId: null,
      result: undefined,
    }
    sessions.set(session.id, session)
    return session
  }

  /** The session that the client names, or a new one where it names none that is still there. */
  function find(call: UiaCall, id: string | undefined): Session {
    const session = id === undefined ? undefined : sessions.get(id)
    if (!session) return begin(call)
    if (session.expiresTs <= clock.now()) {
      sessions.delete(session.id)
      return begin(call)
    }
    if (session.operation !== call.operation || session.userId !== call.userId) throw changed()
    return session
  }

  /** @returns an error to show the client, `undefined` when the stage is done */
  async function attemptStage(call: UiaCall, session: Session, attempt: Attempt): Promise<MatrixError | undefined> {
    if (attempt.type === DUMMY) return undefined
    const { password } = attempt.fields
    if (typeof password !== 'string') return forbidden("'password' is missing")
    const identifier = parseUserIdentifier(attempt.fields)
    const userId = await accounts.findByPassword({ identifier, password, ip: call.ip })
    if (userId !== undefined && call.userId !== null && userId !== call.userId) {
      throw forbidden('This is the password of another user')
    }
    if (userId === undefined) return forbidden('Wrong username or password')
    session.provenUserId = userId
    return undefined
  }

  function mayCome(call: UiaCall, session: Session, type: string): boolean {
    const next = session.completed.length
    return call.flows.some(
      (stages) => stages[next] === type && session.completed.every((stage, i) => stages[i] === stage),
    )
  }

  function isComplete(call: UiaCall, session: Session): boolean {
    return call.flows.some(
      (stages) =>
        stages.length === session.completed.length && stages.every((stage, i) => session.completed[i] === stage),
    )
  }

  /** The stage whose end the client asks about without naming it. */
  async function stageDoneElsewhere({ elsewhere }: UiaCall): Promise<string | undefined> {
    return elsewhere && (await elsewhere.isDone()) ? Object.keys(elsewhere.params)[0] : undefined
  }

  async function advance(call: UiaCall, session: Session, attempt: Attempt): Promise<void> {
    const type = attempt.type ?? (await stageDoneElsewhere(call))
    // Without a type the client asks whether all was done elsewhere; a stage done before is not done again.
    if (type === undefined || session.completed.includes(type)) return
    if (!mayCome(call, session, type)) {
      throw new AuthenticationNeeded(session, call, forbidden('This stage is not the next one of any flow'))
    }
    const isElsewhere = call.elsewhere && Object.hasOwn(call.elsewhere.params, type)
    if (isElsewhere && attempt.type !== undefined && !(await call.elsewhere.isDone())) return
    const failure = isElsewhere ? undefined : await attemptStage(call, session, attempt)
    if (failure) throw new AuthenticationNeeded(session, call, failure)
    // The same stage may have been done by another request while this one's password was checked.
    if (session.completed.includes(type)) return
    session.body ??= digestOf(call.body)
    session.completed = [...session.completed, type]
  }

  function perform<T>(session: Session, work: (provenUserId: string | null) => Promise<T>): Promise<T> {
    // One session completes one operation, so what the promise gives is what this operation's work gives.
    if (session.result) return session.result as Promise<T>
    const result = work(session.provenUserId)
    session.result = result
    session.expiresTs = clock.now() + RESULT_LIFETIME_MS
    clock.after(RESULT_LIFETIME_MS, () => sessions.delete(session.id))
    result.catch(() => sessions.delete(session.id))
    return result
  }

  return {
    async run(call, work) {
      const attempt = attemptOf(call.body)
      if (!attempt) {
        await call.check?.()
        throw new AuthenticationNeeded(begin(call), call)
      }
      const session = find(call, attempt.session)
      requireSameBody(session, call)
      // Work that is done has changed what the check would find.
      if (session.result === undefined) await call.check?.()
      await advance(call, session, attempt)
      requireSameBody(session, call)
      if (!isComplete(call, session)) throw new AuthenticationNeeded(session, call)
      return perform(session, work)
    },
  }
}

const changed = (): MatrixError => forbidden('This authentication session was begun for another request')

function requireSameBody(session: Session, call: UiaCall): void {
  if (session.body !== undefined && session.body !== digestOf(call.body)) throw changed()
}

/** The `auth` of a body; `undefined` where there is none. */
function attemptOf(body: object): Attempt | undefined {
  const { auth } = body as { auth?: unknown }
  if (typeof auth !== 'object' || auth === null) return undefined
  const fields = auth as Record<string, unknown>
  const { session, type } = fields
  return {
    session: typeof session === 'string' && session.length <= MAX_SESSION_ID_LENGTH ? session : undefined,
    type: typeof type === 'string' ? type : undefined,
    fields,
  }
}

/** The same for bodies that say the same in another order of keys; `auth` does not count. */
function digestOf(body: object): string {
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
