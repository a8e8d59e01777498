import { Failure, isRecord, kindOfAnswer } from './failure.ts'

export type Fetch = typeof globalThis.fetch

export interface JsonRequest {
  readonly baseUrl: string
  readonly method?: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** Path with its query, beginning with a slash. */
  readonly path: string
  readonly body?: Readonly<Record<string, unknown>>
  readonly token?: string | undefined
  readonly signal?: AbortSignal | undefined
  /** Milliseconds after which the request counts as unanswered; 20 s unless told. */
  readonly timeoutMs?: number
}

/**
 * One JSON request. Answers the body of a 2xx; anything else is thrown as a `Failure`.
 * @param request what to ask
 * @param fetch the transport; `globalThis.fetch` unless told
 */
export async function requestJson(request: JsonRequest, fetch: Fetch = globalThis.fetch): Promise<unknown> {
  const headers: Record<string, string> = { accept: 'application/json' }
  if (request.body) headers['content-type'] = 'application/json'
  if (request.token) headers.authorization = `Bearer ${request.token}`
  const timeout = AbortSignal.timeout(request.timeoutMs ?? 20_000)
  let response: Response
  let text: string
  try {
    response = await fetch(request.baseUrl + request.path, {
      method: request.method ?? 'GET',
      headers,
      body: request.body ? JSON.stringify(request.body) : null,
      signal: request.signal ? AbortSignal.any([request.signal, timeout]) : timeout,
      credentials: 'omit',
      referrerPolicy: 'no-referrer',
    })
    text = await response.text()
  } catch (cause) {
    throw new Failure(request.signal?.aborted ? 'cancelled' : 'offline', { cause })
  }
  const json = parseJson(text)
  if (response.ok) return json
  throw failureOfAnswer(response.status, json)
}

/** The `Failure` of an answer with a status outside 2xx. */
export function failureOfAnswer(status: number, json: unknown): Failure {
  const data = isRecord(json) ? json : {}
  const errcode = typeof data.errcode === 'string' ? data.errcode : undefined
  const retryAfterMs = typeof data.retry_after_ms === 'number' ? data.retry_after_ms : undefined
  const message = typeof data.error === 'string' ? data.error : `HTTP ${status}`
  return new Failure(kindOfAnswer(status, errcode), { message, status, errcode, retryAfterMs, data })
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // not JSON: a proxy or another web server answered; the caller judges by the status and by missing keys
    return undefined
  }
}
