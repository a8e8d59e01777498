/** What OAuth clients call. Spec: client-server-api §OAuth 2.0 API. */
import type { IncomingMessage } from 'node:http'
import {
  authorizeOAuthDevice,
  grantOAuthTokens,
  registerOAuthClient,
  revokeOAuthToken,
} from '../../../shared/api/oauth/protocol.ts'
import { MatrixError } from '../../../shared/matrix/errors.ts'
import { parseJsonBody } from '../../http/json-body.ts'
import type { RateLimits } from '../../http/rate-limit.ts'
import { readBody } from '../../http/read-body.ts'
import { Reply, type RequestInfo, type Route, route } from '../../http/route.ts'
import { type GrantedTokens, type OAuth, OAuthError, POLL_INTERVAL_MS } from '../../oauth/index.ts'
import { type Form, readForm } from './form.ts'

const MAX_METADATA_BYTES = 64 * 1024

/** Errors in the words of OAuth 2.0; too many requests keep their status and the time to wait. */
async function answer(work: () => Promise<Reply>): Promise<Reply> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof OAuthError) return Reply.json(JSON.stringify(error.toBody()), error.status)
    if (!(error instanceof MatrixError)) throw error
    const { retry_after_ms: retryAfterMs } = error.extra
    return new Reply({
      status: error.status,
      headers: typeof retryAfterMs === 'number' ? { 'retry-after': String(Math.ceil(retryAfterMs / 1000)) } : {},
      body: JSON.stringify({ ...error.toBody(), error: 'invalid_request', error_description: error.message }),
    })
  }
}

async function readMetadata(request: RequestInfo): Promise<Readonly<Record<string, unknown>>> {
  // What a route gets as its stream is the request itself.
  const body = parseJsonBody(await readBody(request.stream as IncomingMessage, MAX_METADATA_BYTES))
  if (typeof body === 'object' && body !== null && !Array.isArray(body)) return body as Record<string, unknown>
  throw new OAuthError('invalid_client_metadata', 'The body must be a JSON object')
}

function tokenReply({ session, scope }: GrantedTokens): Reply {
  const { accessToken, refreshToken, expiresInMs = 0 } = session
  return Reply.json(
    JSON.stringify({
      access_token: accessToken,
      token_type: 'Bearer',
      expires_in: Math.floor(expiresInMs / 1000),
      refresh_token: refreshToken,
      scope,
    }),
  )
}

export function oauthProtocolRoutes({
  oauth,
  rateLimits,
  baseUrl,
}: {
  oauth: OAuth
  rateLimits: RateLimits
  baseUrl: () => string
}): readonly Route[] {
  async function beginDevice(form: Form): Promise<Reply> {
    const begun = await oauth.deviceCodes.begin(form.client_id ?? '', form.scope ?? '')
    const link = `${baseUrl()}/link`
    return Reply.json(
      JSON.stringify({
        device_code: begun.deviceCode,
        user_code: begun.userCode,
        verification_uri: link,
        verification_uri_complete: `${link}?${new URLSearchParams({ user_code: begun.userCode })}`,
        expires_in: Math.floor(begun.expiresInMs / 1000),
        interval: Math.floor(POLL_INTERVAL_MS / 1000),
      }),
    )
  }

  return [
    route(registerOAuthClient, ({ request }) =>
      answer(async () => {
        rateLimits.take('oauthClient', request.ip)
        const { clientId, ...metadata } = await oauth.clients.register(await readMetadata(request))
        return Reply.json(JSON.stringify({ client_id: clientId, ...metadata }), 201)
      }),
    ),

    route(grantOAuthTokens, ({ request }) =>
      answer(async () => {
        rateLimits.take('general', request.ip)
        return tokenReply(await oauth.tokens.grant(await readForm(request)))
      }),
    ),

    route(authorizeOAuthDevice, ({ request }) =>
      answer(async () => {
        rateLimits.take('oauthClient', request.ip)
        return beginDevice(await readForm(request))
      }),
    ),

    route(revokeOAuthToken, ({ request }) =>
      answer(async () => {
        rateLimits.take('general', request.ip)
        const { token } = await readForm(request)
        if (token === undefined) throw new OAuthError('invalid_request', "'token' is missing")
        await oauth.tokens.revoke(token)
        return Reply.json('{}')
      }),
    ),
  ]
}
