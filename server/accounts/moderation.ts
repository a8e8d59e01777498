import { forbidden, invalidParam, notFound } from '../../shared/matrix/errors.ts'
import { serverNameOf } from '../../shared/matrix/identifiers.ts'
import type { Environment } from '../observe/environment.ts'
import { put, type Store } from '../store/index.ts'
import type { Requester } from './contract.ts'
import { type AccountRow, accountRows } from './store.ts'
import type { Tokens } from './tokens.ts'

/** What administrators do to an account, reversibly. Spec: client-server-api §Account moderation. */
export interface Moderation {
  /**
   * @throws MatrixError 403 M_FORBIDDEN unless an administrator asks, and for other administrators; 400 M_INVALID_PARAM for users of
   * other servers; 404 M_NOT_FOUND
   */
  moderationOf(userId: string, by: Requester): Promise<{ readonly isLocked: boolean; readonly isSuspended: boolean }>
  /** Leaves what is not named as it is. @throws MatrixError as `moderationOf`, and 403 M_FORBIDDEN for the own account */
  moderate(
    userId: string,
    change: { readonly isLocked?: boolean; readonly isSuspended?: boolean },
    by: Requester,
  ): Promise<void>
}

export function createModeration({
  store,
  environment,
  tokens,
}: {
  store: Store
  environment: Environment
  tokens: Tokens
}): Moderation {
  /** Who may ask is checked before anything is looked up, so that nobody learns which users there are. */
  function requireAdmin(userId: string, by: Requester): void {
    if (!by.isAdmin) throw forbidden('Only administrators may do this')
    if (serverNameOf(userId) !== environment.serverName) throw invalidParam('This user is not of this server')
  }

  async function getTarget(userId: string, by: Requester): Promise<AccountRow> {
    const row = await store.home.get(accountRows, userId)
    if (!row || row.isDeactivated) throw notFound('There is no such user here')
    if (row.isAdmin && userId !== by.userId) throw forbidden('This user is an administrator, too')
    return row
  }

  return {
    async moderationOf(userId, by) {
      requireAdmin(userId, by)
      const { isLocked, isSuspended } = await getTarget(userId, by)
      return { isLocked, isSuspended }
    },

    async moderate(userId, change, by) {
      requireAdmin(userId, by)
      if (userId === by.userId) throw forbidden('You cannot do this to your own account')
      await store.exclusive(`accounts:${userId}`, async () => {
        const row = await getTarget(userId, by)
        await store.commit(() => [put(accountRows, { ...row, ...change })])
        tokens.evictUser(userId)
      })
    },
  }
}
