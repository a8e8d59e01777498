/** The error codes that we answer with. Spec: RFC 6749 §4.1.2.1, §5.2; RFC 7591 §3.2.2; RFC 8628 §3.5; OpenID Connect Core §3.1.2.6. */
export type OAuthErrorCode =
  | 'invalid_request'
  | 'invalid_client'
  | 'invalid_grant'
  | 'unauthorized_client'
  | 'unsupported_grant_type'
  | 'unsupported_response_type'
  | 'invalid_scope'
  | 'access_denied'
  | 'server_error'
  | 'temporarily_unavailable'
  | 'login_required'
  | 'consent_required'
  | 'invalid_redirect_uri'
  | 'invalid_client_metadata'
  | 'authorization_pending'
  | 'slow_down'
  | 'expired_token'

/** An error as OAuth 2.0 words it, for a client. The message is for its developers, and never holds a secret. */
export class OAuthError extends Error {
  override readonly name = 'OAuthError'
  readonly code: OAuthErrorCode

  constructor(code: OAuthErrorCode, message: string) {
    super(message)
    this.code = code
  }

  /** The status where the error is an answer of its own. */
  get status(): number {
    if (this.code === 'invalid_client') return 401
    if (this.code === 'server_error') return 500
    return this.code === 'temporarily_unavailable' ? 503 : 400
  }

  toBody(): { error: string; error_description: string } {
    return { error: this.code, error_description: this.message }
  }
}
