import type { Environment } from '../observe/environment.ts'
import { put, remove, type Store } from '../store/index.ts'
import { resetApprovalRows } from './store.ts'

/** From the user's word on the account page until the client must have uploaded its keys. */
export const APPROVAL_LIFETIME_MS = 10 * 60_000

/** Users' word that their cross-signing keys may be replaced, once. Spec: client-server-api §OAuth authentication; MSC4312. */
export interface ResetApprovals {
  approve(userId: string): Promise<void>
  has(userId: string): Promise<boolean>
  /** The keys have been replaced: doing it again needs a new word. */
  consume(userId: string): Promise<void>
}

export function createResetApprovals({
  environment,
  store,
}: {
  environment: Environment
  store: Store
}): ResetApprovals {
  const { clock } = environment
  return {
    async approve(userId) {
      await store.commit(() => [put(resetApprovalRows, { userId, expiresTs: clock.now() + APPROVAL_LIFETIME_MS })])
    },
    async has(userId) {
      const row = await store.home.get(resetApprovalRows, userId)
      return row !== undefined && row.expiresTs > clock.now()
    },
    async consume(userId) {
      await store.commit(() => [remove(resetApprovalRows, userId)])
    },
  }
}
