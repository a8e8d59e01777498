import type { RoomsCore } from './core.ts'

/** Whether a user wants no invites at all. Spec: client-server-api §Invite permission. */
export async function blocksInvites(core: RoomsCore, userId: string): Promise<boolean> {
  const permission = await core.accounts.findAccountData(userId, null, 'm.invite_permission_config')
  return permission?.content.default_action === 'block'
}
