import { forbidden, MatrixError } from '../../shared/matrix/errors.ts'
import type { Environment } from '../observe/environment.ts'
import { digestOf, requireSameBody, type StageParams, type UiaSession, UiaSessions } from './uia-session.ts'
import { createStages, PASSWORD, type Proof, type StageChecks } from './uia-stages.ts'

export { DUMMY, EMAIL, PASSWORD, type Proof, REGISTRATION_TOKEN, type StageChecks, TERMS } from './uia-stages.ts'

/** A longer one cannot be ours. */
const MAX_SESSION_ID_LENGTH = 64

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
  /** What the client is told of stages. */
  readonly params?: StageParams
  readonly ip: string
  /** For flows of one stage that is done on a page of ours. Spec: client-server-api §OAuth authentication. */
  readonly elsewhere?: {
    /** The stages. */
    readonly stages: readonly string[]
    /** Whether the user has done it. */
    readonly isDone: () => Promise<boolean>
  }
  /** What can be said against the request before the user is asked for anything; throws it. */
  readonly check?: () => Promise<void>
}

/** A stage that is done on a fallback page. */
export interface FallbackStage {
  readonly isDone: boolean
  /** The others before it are done. */
  readonly isNext: boolean
  readonly params: Readonly<Record<string, unknown>>
}

/**
 * User-interactive authentication. Spec: client-server-api §User-Interactive Authentication API.
 * Sessions live in memory: after a restart a client is asked to begin anew.
 */
export interface Uia {
  /**
   * Does the work once all stages of a flow are done, and gives its result. The same request made again, with the session that
   * it completed, gets the same result and does nothing; after a failure it begins anew.
   * @param work gets what the stages have shown
   * @throws AuthenticationNeeded what is still to do
   * @throws MatrixError 403 M_FORBIDDEN for another user's password, or a session that belongs to another request; 400 and 429 of
   * the stages
   */
  run<T>(call: UiaCall, work: (proof: Proof) => Promise<T>): Promise<T>
  /** @returns `undefined` where no session that is still there has this stage. Spec: client-server-api §Fallback. */
  findStage(sessionId: string, type: string): FallbackStage | undefined
  /**
   * Does a stage for a client that cannot. The session is bound to the body that it was begun with.
   * @returns what was wrong; `undefined` when the stage is done
   * @throws MatrixError as the stages
   */
  doStage(
    sessionId: string,
    attempt: { readonly type: string; readonly fields: Readonly<Record<string, unknown>>; readonly ip: string },
  ): Promise<MatrixError | undefined>
}

/** The 401 that says which stages there are. It has an `errcode` only after an attempt that failed. */
export class AuthenticationNeeded extends MatrixError {
  readonly #isFailure: boolean

  constructor(session: UiaSession, failure?: MatrixError) {
    super(failure?.errcode ?? 'M_FORBIDDEN', 401, failure?.message ?? 'Authentication is needed', {
      flows: session.flows.map((stages) => ({ stages })),
      params: session.params,
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

/** The stage of a request's `auth`, where it has one. */
interface Attempt {
  readonly session: string | undefined
  readonly type: string | undefined
  readonly fields: Readonly<Record<string, unknown>>
}

/** @param checks what the stages ask of the slices */
export function createUia({ environment, checks }: { environment: Environment; checks: StageChecks }): Uia {
  const sessions = new UiaSessions(environment)
  const stages = createStages(checks)

  /** @returns an error to show the client, `undefined` when the stage is done */
  async function attemptStage(
    session: UiaSession,
    type: string,
    { fields, ip, body }: { fields: Attempt['fields']; ip: string; body: string | undefined },
  ): Promise<MatrixError | undefined> {
    if (!Object.hasOwn(stages, type)) return forbidden('This stage is not done here')
    const shown = await stages[type]?.({ fields, operation: session.operation, userId: session.userId, ip })
    if (shown instanceof MatrixError) return shown
    complete(session, type, { shown, body })
    return undefined
  }

  function complete(
    session: UiaSession,
    type: string,
    { shown, body }: { shown?: Partial<Proof> | undefined; body: string | undefined },
  ): void {
    // The same stage may have been done by another request while this one's password was checked.
    if (session.completed.includes(type)) return
    session.body ??= body
    session.completed = [...session.completed, type]
    session.proof = { ...session.proof, ...shown }
  }

  /** The stage whose end the client asks about without naming it. */
  async function stageDoneElsewhere({ elsewhere }: UiaCall): Promise<string | undefined> {
    return elsewhere && (await elsewhere.isDone()) ? elsewhere.stages[0] : undefined
  }

  async function advance(call: UiaCall, session: UiaSession, attempt: Attempt): Promise<void> {
    const type = attempt.type ?? (await stageDoneElsewhere(call))
    // Without a type the client asks whether all was done elsewhere; a stage done before is not done again.
    if (type === undefined || session.completed.includes(type)) return
    if (!mayCome(session, type)) {
      throw new AuthenticationNeeded(session, forbidden('This stage is not the next one of any flow'))
    }
    const body = digestOf(call.body)
    if (call.elsewhere?.stages.includes(type)) {
      if (attempt.type === undefined || (await call.elsewhere.isDone())) complete(session, type, { body })
      return
    }
    const failure = await attemptStage(session, type, { fields: attempt.fields, ip: call.ip, body })
    if (failure) throw type === PASSWORD && isByAddress(attempt) ? failure : new AuthenticationNeeded(session, failure)
  }

  return {
    async run(call, work) {
      const attempt = attemptOf(call.body)
      if (!attempt) {
        await call.check?.()
        throw new AuthenticationNeeded(sessions.begin(call))
      }
      const session = sessions.find(call, attempt.session)
      // Work that is done has changed what the check would find.
      if (session.result === undefined) await call.check?.()
      await advance(call, session, attempt)
      requireSameBody(session, call.body)
      if (!isComplete(session)) throw new AuthenticationNeeded(session)
      return sessions.perform(session, work)
    },

    findStage(sessionId, type) {
      const session = sessions.get(sessionId)
      if (!session?.flows.some((flow) => flow.includes(type))) return undefined
      const isDone = session.completed.includes(type)
      return { isDone, isNext: mayCome(session, type), params: { ...session.params[type] } }
    },

    async doStage(sessionId, { type, fields, ip }) {
      const session = sessions.get(sessionId)
      if (!session) return forbidden('This session is over')
      if (session.completed.includes(type)) return undefined
      if (!mayCome(session, type)) return forbidden('This stage is not the next one of any flow')
      return attemptStage(session, type, { fields, ip, body: session.seenBody })
    },
  }
}

function mayCome(session: UiaSession, type: string): boolean {
  const next = session.completed.length
  return session.flows.some(
    (stages) => stages[next] === type && session.completed.every((stage, i) => stages[i] === stage),
  )
}

function isComplete(session: UiaSession): boolean {
  return session.flows.some(
    (stages) =>
      stages.length === session.completed.length && stages.every((stage, i) => session.completed[i] === stage),
  )
}

/**
 * Whether the user is named by an address or a phone number. One that nobody here has is a plain 403; a wrong password is
 * then the same, so that no answer tells which addresses there are. Spec: client-server-api §Password-based.
 */
function isByAddress({ fields: { identifier, user } }: Attempt): boolean {
  if (identifier === undefined) return typeof user !== 'string'
  return (identifier as { readonly type?: unknown } | null)?.type !== 'm.id.user'
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
