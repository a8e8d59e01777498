import type { Environment } from '../observe/environment.ts'
import { put, type Store } from '../store/index.ts'
import { AUTHORIZATION_CODE } from './client-metadata.ts'
import type { Client, Clients } from './clients.ts'
import { OAuthError } from './errors.ts'
import { matchesRedirectUri } from './redirect-uri.ts'
import { parseScope, type Scope } from './scope.ts'
import { newSecret, secretHash } from './secrets.ts'
import { codeRows } from './store.ts'

/** From the redirect back to the client until it asks for tokens. */
const CODE_LIFETIME_MS = 2 * 60_000
const MAX_STATE_LENGTH = 2_048
/** An S256 challenge: 32 bytes in base64url. */
const CHALLENGE = /^[A-Za-z0-9_-]{43}$/

const RESPONSE_MODES = ['query', 'fragment'] as const
export type ResponseMode = (typeof RESPONSE_MODES)[number]

/** What an authorization request says, by the names of RFC 6749 §4.1.1, RFC 7636 §4.3 and OpenID Connect. */
export type AuthorizationParameters = Readonly<Record<string, string | undefined>>

/** A request that may be shown to the user. */
export interface AuthorizationRequest {
  readonly client: Client
  readonly redirectUri: string
  readonly responseMode: ResponseMode
  readonly state: string | undefined
  readonly scope: Scope
  readonly codeChallenge: string
  readonly prompts: ReadonlySet<string>
}

/** A request that the client made wrongly, and is told of by a redirect. */
export class AuthorizationRefused extends Error {
  override readonly name = 'AuthorizationRefused'
  /** Where the browser goes. */
  readonly location: string

  constructor(location: string, message: string) {
    super(message)
    this.location = location
  }
}

/** The authorization code grant, up to the code. Spec: client-server-api §Authorisation code flow. */
export interface Authorization {
  /**
   * @throws OAuthError where client or redirect URI are wrong: the user is told, and goes nowhere
   * @throws AuthorizationRefused for whatever else is wrong
   */
  read(parameters: AuthorizationParameters): Promise<AuthorizationRequest>
  /** The user agrees. @returns where the browser goes, with the code */
  allow(request: AuthorizationRequest, userId: string): Promise<string>
  /** The user does not agree, or is not asked. @returns where the browser goes, with the error */
  refuse(request: AuthorizationRequest, error: OAuthError): string
}

/** @param issuer our metadata's, so that a client of several servers is not led to send the code to another one (RFC 9207) */
export function createAuthorization({
  environment,
  store,
  clients,
  issuer,
}: {
  environment: Environment
  store: Store
  clients: Clients
  issuer: () => string
}): Authorization {
  interface Callback {
    readonly redirectUri: string
    readonly responseMode: ResponseMode
    readonly state: string | undefined
  }

  function locationOf({ redirectUri, responseMode, state }: Callback, answer: Record<string, string>): string {
    const search = new URLSearchParams({ ...answer, ...(state !== undefined && { state }), iss: issuer() }).toString()
    if (responseMode === 'fragment') return `${redirectUri}#${search}`
    return `${redirectUri}${redirectUri.includes('?') ? '&' : '?'}${search}`
  }

  const refuse = (to: Callback, error: OAuthError): string => locationOf(to, { ...error.toBody() })

  return {
    async read(parameters) {
      const client = await clients.require(parameters.client_id ?? '', AUTHORIZATION_CODE)
      const redirectUri = parameters.redirect_uri ?? ''
      if (!client.redirect_uris.some((registered) => matchesRedirectUri(redirectUri, registered))) {
        throw new OAuthError('invalid_request', 'The redirect URI is none of those that the client registered')
      }
      const { state } = parameters
      const responseMode = RESPONSE_MODES.find((mode) => mode === (parameters.response_mode ?? 'query'))
      const callback = { redirectUri, responseMode: responseMode ?? 'query', state: state?.slice(0, MAX_STATE_LENGTH) }
      try {
        if (!responseMode) throw new OAuthError('invalid_request', "'response_mode' must be query or fragment")
        if (state !== undefined && state.length > MAX_STATE_LENGTH) {
          throw new OAuthError('invalid_request', `'state' has at most ${MAX_STATE_LENGTH} characters`)
        }
        const prompts = new Set((parameters.prompt ?? '').split(' ').filter((prompt) => prompt !== ''))
        return { client, ...callback, ...readGrant(parameters), prompts }
      } catch (error) {
        if (!(error instanceof OAuthError)) throw error
        throw new AuthorizationRefused(refuse(callback, error), error.message)
      }
    },

    async allow(request, userId) {
      const code = newSecret('hac', environment.random)
      const { client, redirectUri, codeChallenge, scope } = request
      await store.commit(() => [
        put(codeRows, {
          hash: secretHash(code),
          clientId: client.clientId,
          redirectUri,
          codeChallenge,
          userId,
          deviceId: scope.deviceId,
          scope: scope.text,
          isUsed: false,
          expiresTs: environment.clock.now() + CODE_LIFETIME_MS,
        }),
      ])
      return locationOf(request, { code })
    },

    refuse,
  }
}

function readGrant(parameters: AuthorizationParameters): { scope: Scope; codeChallenge: string } {
  if (parameters.response_type !== 'code') {
    throw new OAuthError('unsupported_response_type', "'response_type' must be code")
  }
  if (parameters.code_challenge_method !== 'S256' || !CHALLENGE.test(parameters.code_challenge ?? '')) {
    throw new OAuthError('invalid_request', "'code_challenge' is needed, made with the method S256")
  }
  return { scope: parseScope(parameters.scope ?? ''), codeChallenge: parameters.code_challenge ?? '' }
}
