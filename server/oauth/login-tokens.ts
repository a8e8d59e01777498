import { forbidden } from '../../shared/matrix/errors.ts'
import type { Accounts, Session, SessionRequest } from '../accounts/index.ts'
import type { Environment } from '../observe/environment.ts'
import { newSecret, secretHash } from './secrets.ts'

/** From where another client has it until the login: a person carries it over. */
export const CARRIED_TOKEN_LIFETIME_MS = 2 * 60_000
/** From the redirect back to the client until the login: the page that takes it has to load, on a slow line too. */
export const REDIRECT_TOKEN_LIFETIME_MS = 30_000
/** The oldest is forgotten first. */
const MAX_TOKENS = 1_000

/**
 * Tokens that clients of the legacy API get from our login page, or for another client of the same user. In memory: who is cut off by a restart logs in again.
 * Spec: client-server-api §Client login via SSO, §Token-based.
 */
export interface LoginTokens {
  issue(userId: string, lifetimeMs: number): string
  /** @throws MatrixError 403 M_FORBIDDEN for a token that was used, has expired or never was; those of `OAuthSessions.open` */
  logIn(token: string, session: SessionRequest): Promise<Session>
}

export function createLoginTokens({
  environment,
  accounts,
}: {
  environment: Environment
  accounts: Pick<Accounts, 'oauthSessions'>
}): LoginTokens {
  const { clock, random } = environment
  const tokens = new Map<string, { readonly userId: string; readonly expiresTs: number }>()
  return {
    issue(userId, lifetimeMs) {
      const [oldest] = tokens.keys()
      if (oldest !== undefined && tokens.size >= MAX_TOKENS) tokens.delete(oldest)
      const token = newSecret('hlt', random)
      tokens.set(secretHash(token), { userId, expiresTs: clock.now() + lifetimeMs })
      return token
    },

    async logIn(token, session) {
      const hash = secretHash(token)
      const found = tokens.get(hash)
      tokens.delete(hash)
      if (!found || found.expiresTs <= clock.now()) throw forbidden('Wrong or expired login token')
      return accounts.oauthSessions.open({ userId: found.userId, session, alsoCommit: [] })
    },
  }
}
