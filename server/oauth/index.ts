/**
 * The door of `oauth/`: the authorization server of this home. Tokens, devices and passwords are those of `accounts/`.
 * Spec: client-server-api §OAuth 2.0 API.
 */
export {
  AuthorizationRefused,
  type AuthorizationRequest,
} from './authorization.ts'
export { BROWSER_SESSION_LIFETIME_MS } from './browser-sessions.ts'
export { GRANT_TYPES } from './client-metadata.ts'
export type { Client } from './clients.ts'
export { createOAuth, type OAuth } from './create-oauth.ts'
export { POLL_INTERVAL_MS, type WaitingDevice } from './device-codes.ts'
export { OAuthError } from './errors.ts'
export { CARRIED_TOKEN_LIFETIME_MS, REDIRECT_TOKEN_LIFETIME_MS } from './login-tokens.ts'
export type { GrantedTokens } from './token-endpoint.ts'
