/**
 * What went wrong, in the few kinds that a person can act on. The page has one sentence for each.
 * `offline` covers everything that never got an answer; `server` an answer that the server should not have given.
 */
export type FailureKind =
  | 'offline'
  | 'server'
  | 'rateLimited'
  | 'forbidden'
  | 'notFound'
  | 'signedOut'
  | 'tooLarge'
  | 'nameTaken'
  | 'badName'
  | 'weakPassword'
  | 'deactivated'
  | 'alreadyClaimed'
  | 'wrongCode'
  | 'badWelcome'
  | 'closed'
  | 'wrongKey'
  | 'notHearth'
  | 'cancelled'
  | 'unknown'

/** A request that failed, or an action that could not be carried out. Never holds a secret. */
export class Failure extends Error {
  readonly kind: FailureKind
  /** The HTTP status; 0 when there was no answer. */
  readonly status: number
  readonly errcode: string | undefined
  /** Milliseconds that the server asks to wait before another try. */
  readonly retryAfterMs: number | undefined
  /** The JSON of the answer, for the few callers that need more of it (user-interactive authentication). */
  readonly data: Readonly<Record<string, unknown>>

  constructor(
    kind: FailureKind,
    options: {
      message?: string
      status?: number
      errcode?: string | undefined
      retryAfterMs?: number | undefined
      data?: Readonly<Record<string, unknown>>
      cause?: unknown
    } = {},
  ) {
    super(options.message ?? kind, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'Failure'
    this.kind = kind
    this.status = options.status ?? 0
    this.errcode = options.errcode
    this.retryAfterMs = options.retryAfterMs
    this.data = options.data ?? {}
  }

  /** Whether the same request may succeed later without anybody changing anything. */
  get isTransient(): boolean {
    return this.kind === 'offline' || this.kind === 'rateLimited' || this.kind === 'server'
  }
}

const KIND_OF_ERRCODE: Readonly<Record<string, FailureKind>> = {
  M_FORBIDDEN: 'forbidden',
  M_UNAUTHORIZED: 'forbidden',
  M_GUEST_ACCESS_FORBIDDEN: 'forbidden',
  M_UNKNOWN_TOKEN: 'signedOut',
  M_MISSING_TOKEN: 'signedOut',
  M_LIMIT_EXCEEDED: 'rateLimited',
  M_TOO_LARGE: 'tooLarge',
  M_USER_IN_USE: 'nameTaken',
  M_ROOM_IN_USE: 'nameTaken',
  M_EXCLUSIVE: 'nameTaken',
  M_INVALID_USERNAME: 'badName',
  M_WEAK_PASSWORD: 'weakPassword',
  M_USER_DEACTIVATED: 'deactivated',
  M_USER_LOCKED: 'deactivated',
  M_USER_SUSPENDED: 'deactivated',
  M_NOT_FOUND: 'notFound',
}

/**
 * The kind of an answer that was not a success.
 * @param status the HTTP status
 * @param errcode the standard error code, where the body had one
 */
export function kindOfAnswer(status: number, errcode: string | undefined): FailureKind {
  const known = errcode === undefined ? undefined : KIND_OF_ERRCODE[errcode]
  if (known !== undefined) return known
  if (status === 429) return 'rateLimited'
  if (status === 413) return 'tooLarge'
  if (status === 403) return 'forbidden'
  if (status === 404) return 'notFound'
  if (status >= 500 || status === 408) return 'server'
  return 'unknown'
}

/** Turns whatever was thrown, by us or by the SDK, into a `Failure`. */
export function failureOf(error: unknown): Failure {
  if (error instanceof Failure) return error
  if (!(error instanceof Error)) return new Failure('unknown', { message: String(error) })
  if (error.name === 'AbortError') return new Failure('cancelled', { cause: error })
  if (error.name === 'ConnectionError' || error.name === 'TimeoutError' || error.name === 'TokenRefreshError') {
    return new Failure('offline', { cause: error })
  }
  const { errcode, httpStatus, data } = error as { errcode?: unknown; httpStatus?: unknown; data?: unknown }
  if (typeof httpStatus === 'number') {
    const code = typeof errcode === 'string' ? errcode : undefined
    const body = isRecord(data) ? data : {}
    return new Failure(kindOfAnswer(httpStatus, code), {
      message: error.message,
      status: httpStatus,
      errcode: code,
      retryAfterMs: typeof body.retry_after_ms === 'number' ? body.retry_after_ms : undefined,
      data: body,
      cause: error,
    })
  }
  return new Failure('unknown', { message: error.message, cause: error })
}

/** Whether a value is a JSON object. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
