import { type Requester, requireNotSuspended } from '../accounts/index.ts'
import type { JsonObject } from '../protocol/pdu.ts'
import type { RoomsCore } from './core.ts'
import { requireMayDecline } from './server-notices.ts'

/**
 * Before a client sets state: a suspended user may set none but their own leaving, and the server's invites are not declined.
 * Spec: client-server-api §Account suspension, §Server Notices.
 * @throws MatrixError 403 M_USER_SUSPENDED, M_CANNOT_LEAVE_SERVER_NOTICE_ROOM
 */
export async function requireMaySetState(
  core: RoomsCore,
  setting: {
    readonly roomId: string
    readonly requester: Requester
    readonly type: string
    readonly stateKey: string
    readonly content: JsonObject
  },
): Promise<void> {
  const { roomId, requester, type, stateKey, content } = setting
  const isOwnLeave = type === 'm.room.member' && stateKey === requester.userId && content.membership === 'leave'
  if (isOwnLeave) await requireMayDecline(core, requester.userId, roomId)
  else requireNotSuspended(requester)
}
