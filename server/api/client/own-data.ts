import { forbidden } from '../../../shared/matrix/errors.ts'
import type { Requester } from '../../accounts/index.ts'

/**
 * Account data and tags are only for their own user. Spec: client-server-api §Client Config.
 * @throws MatrixError 403 M_FORBIDDEN
 */
export function requireOwnData(requester: Requester, userId: string): void {
  if (requester.userId !== userId) throw forbidden("This is another user's data")
}
