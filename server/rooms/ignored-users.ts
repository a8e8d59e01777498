import type { JsonObject } from '../protocol/pdu.ts'
import type { RoomsCore } from './core.ts'

/** Whom a user does not want to hear from; never themself. Spec: client-server-api §Ignoring Users. */
export async function ignoredBy(core: RoomsCore, userId: string): Promise<ReadonlySet<string>> {
  const data = await core.accounts.findAccountData(userId, null, 'm.ignored_user_list')
  const ignored = new Set(Object.keys((data?.content.ignored_users ?? {}) as JsonObject))
  ignored.delete(userId)
  return ignored
}
