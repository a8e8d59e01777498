import type { Credentials } from './credentials.ts'
import { Failure, failureOf, isRecord } from './failure.ts'
import { type Fetch, requestJson } from './request.ts'

/** Refresh this long before the end, so that a request on its way does not meet an ended token. */
const EARLY_MS = 30_000

export interface TokenKeeper {
  /** Signs each request with the token of the moment; refreshes it when it ends and then repeats the request once. */
  readonly fetch: Fetch
  /** A token that is good now, for transports that are not `fetch` (uploads with progress). */
  readonly freshToken: () => Promise<string>
}

/**
 * Keeps the access token fresh. Spec: client-server-api §Refreshing access tokens and §Soft logout.
 *
 * The answer to a refresh is handed to `onChange` before the new token is used, so that a crash in between leaves the
 * stored session usable (the specification keeps the old refresh token alive until the new one is used).
 *
 * @param options `onSignedOut` hears once that the session has ended: softly (sign in again, keep the keys) or for good
 */
export function createTokenKeeper(options: {
  credentials: Credentials
  onChange: (credentials: Credentials) => void
  onSignedOut: (how: 'soft' | 'hard') => void
  fetch?: Fetch
  now?: () => number
}): TokenKeeper {
  const baseFetch: Fetch = options.fetch ?? ((input, init) => globalThis.fetch(input, init))
  const now = options.now ?? Date.now
  let current = options.credentials
  let running: Promise<void> | undefined
  let isSignedOut = false

  const signedOut = (how: 'soft' | 'hard'): void => {
    if (isSignedOut) return
    isSignedOut = true
    options.onSignedOut(how)
  }

  const refresh = (): Promise<void> => {
    running ??= refreshOnce().finally(() => {
      running = undefined
    })
    return running
  }

  async function refreshOnce(): Promise<void> {
    let answer: unknown
    try {
      answer = await requestJson(
        {
          baseUrl: current.baseUrl,
          method: 'POST',
          path: '/_matrix/client/v3/refresh',
          body: { refresh_token: current.refreshToken },
        },
        baseFetch,
      )
    } catch (error) {
      const failure = failureOf(error)
      if (failure.kind === 'signedOut' || failure.kind === 'forbidden') {
        signedOut(failure.data.soft_logout === false ? 'hard' : 'soft')
      }
      throw failure
    }
    if (!isRecord(answer) || typeof answer.access_token !== 'string') throw new Failure('server')
    const { access_token, refresh_token, expires_in_ms } = answer
    const { expiresTs: _ended, ...kept } = current
    current = {
      ...kept,
      accessToken: access_token,
      ...(typeof refresh_token === 'string' ? { refreshToken: refresh_token } : {}),
      ...(typeof expires_in_ms === 'number' ? { expiresTs: now() + expires_in_ms } : {}),
    }
    options.onChange(current)
  }

  const mayRefresh = (): boolean => current.refreshToken !== undefined && !isSignedOut

  const freshToken = async (): Promise<string> => {
    if (mayRefresh() && current.expiresTs !== undefined && current.expiresTs - now() < EARLY_MS) {
      try {
        await refresh()
      } catch (error) {
        // still usable until it really ends; only when it has does the failure count
        if (current.expiresTs <= now()) throw error
      }
    }
    return current.accessToken
  }

  const signed = async (
    input: Parameters<Fetch>[0],
    init: RequestInit | undefined,
    token: string,
  ): Promise<Response> => {
    const headers = new Headers(init?.headers)
    headers.set('authorization', `Bearer ${token}`)
    return baseFetch(input, { ...init, headers })
  }

  const fetch: Fetch = async (input, init) => {
    // requests without a token (well-known, versions) stay without one
    if (!new Headers(init?.headers).has('authorization')) return baseFetch(input, init)
    let token: string
    try {
      token = await freshToken()
    } catch (cause) {
      throw new TypeError('no usable access token', { cause })
    }
    const response = await signed(input, init, token)
    if (response.status !== 401) return response
    const body: unknown = await response
      .clone()
      .json()
      // an answer without JSON is not about tokens: hand it on as it is
      .catch(() => undefined)
    if (!isRecord(body) || body.errcode !== 'M_UNKNOWN_TOKEN') return response
    // somebody else refreshed while this request was on its way
    if (token !== current.accessToken) return signed(input, init, current.accessToken)
    if (!mayRefresh()) {
      signedOut(body.soft_logout === true ? 'soft' : 'hard')
      return response
    }
    try {
      await refresh()
    } catch (error) {
      if (failureOf(error).isTransient) throw new TypeError('the access token could not be refreshed', { cause: error })
      return response
    }
    return signed(input, init, current.accessToken)
  }

  return { fetch, freshToken }
}
