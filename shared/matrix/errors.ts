/**
 * An error that the other side may see: the standard error response of the specification.
 * Spec: client-server-api §Standard error response.
 */
export class MatrixError extends Error {
  readonly errcode: string
  readonly status: number
  readonly extra: Readonly<Record<string, unknown>>

  /**
   * @param errcode e.g. `M_FORBIDDEN`
   * @param status the HTTP status, 400 to 599
   * @param message a sentence for a person; must never hold a secret
   * @param extra further keys of the response body, e.g. `retry_after_ms`
   */
  constructor(errcode: string, status: number, message: string, extra: Readonly<Record<string, unknown>> = {}) {
    super(message)
    this.name = 'MatrixError'
    this.errcode = errcode
    this.status = status
    this.extra = extra
  }

  /** The body as it goes over the wire. */
  toBody(): Record<string, unknown> {
    return { ...this.extra, errcode: this.errcode, error: this.message }
  }
}

export const forbidden = (message: string): MatrixError => new MatrixError('M_FORBIDDEN', 403, message)
export const notFound = (message: string): MatrixError => new MatrixError('M_NOT_FOUND', 404, message)
export const badJson = (message: string): MatrixError => new MatrixError('M_BAD_JSON', 400, message)
export const notJson = (message: string): MatrixError => new MatrixError('M_NOT_JSON', 400, message)
export const invalidParam = (message: string): MatrixError => new MatrixError('M_INVALID_PARAM', 400, message)
export const missingParam = (message: string): MatrixError => new MatrixError('M_MISSING_PARAM', 400, message)
export const tooLarge = (message: string): MatrixError => new MatrixError('M_TOO_LARGE', 413, message)
export const unrecognized = (status: 404 | 405 = 404): MatrixError =>
  new MatrixError('M_UNRECOGNIZED', status, 'Unrecognized request')
export const unknownToken = (message: string, softLogout = false): MatrixError =>
  new MatrixError('M_UNKNOWN_TOKEN', 401, message, { soft_logout: softLogout })
export const missingToken = (): MatrixError => new MatrixError('M_MISSING_TOKEN', 401, 'Missing access token')

/** @param retryAfterMs milliseconds until a try may succeed; also sent as the `Retry-After` header, in whole seconds */
export const limitExceeded = (retryAfterMs: number): MatrixError =>
  new MatrixError('M_LIMIT_EXCEEDED', 429, 'Too many requests', { retry_after_ms: retryAfterMs })
