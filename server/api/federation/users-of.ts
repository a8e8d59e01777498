import { invalidParam } from '../../../shared/matrix/errors.ts'
import { isUserId, serverNameOf } from '../../../shared/matrix/identifiers.ts'

/**
 * What is asked about must be users of this server.
 * @throws MatrixError 400 M_INVALID_PARAM
 */
export function requireUsersOf(home: string, userIds: readonly string[]): void {
  for (const userId of userIds) {
    if (!isUserId(userId)) throw invalidParam('That is not a user ID')
    if (serverNameOf(userId) !== home) throw invalidParam('This server only knows of the devices of its own users')
  }
}
