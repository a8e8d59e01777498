import { forbidden, MatrixError } from '../../shared/matrix/errors.ts'
import type { Requester } from './contract.ts'

/** Spec: client-server-api §Account locking. */
export const userLocked = (): MatrixError =>
  new MatrixError('M_USER_LOCKED', 401, 'This account has been locked', { soft_logout: true })

/**
 * For whatever a suspended user may not do. Spec: client-server-api §Account suspension.
 * @throws MatrixError 403 M_USER_SUSPENDED
 */
export function requireNotSuspended({ isSuspended }: Pick<Requester, 'isSuspended'>): void {
  if (isSuspended) throw new MatrixError('M_USER_SUSPENDED', 403, 'You cannot do this while your account is suspended')
}

/**
 * For endpoints with user-interactive authentication, which sessions of the OAuth 2.0 API cannot use.
 * Spec: client-server-api §OAuth 2.0 API, warning.
 * @throws MatrixError 403 M_FORBIDDEN
 */
export function requireLegacySession(requester: Pick<Requester, 'oauthClientId'> | undefined): void {
  if (requester?.oauthClientId !== undefined) {
    throw forbidden("This session was made with OAuth 2.0: use the account page of the user's server")
  }
}
