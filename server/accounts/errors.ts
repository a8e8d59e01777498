import { MatrixError } from '../../shared/matrix/errors.ts'
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
