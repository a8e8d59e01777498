import { forbidden } from '../../shared/matrix/errors.ts'
import { type Requester, requireNotSuspended } from '../accounts/index.ts'
import type { JsonObject } from '../protocol/pdu.ts'
import type { Op } from '../store/index.ts'
import type { RoomsCore } from './core.ts'
import type { DelayedEventRow } from './delayed-event-store.ts'
import type { OpenRooms } from './open-rooms.ts'
import { putMembership } from './put-membership.ts'
import { sendMessage, setState } from './send.ts'

/**
 * Sends an event whose delay is over as its user may now, whatever they were allowed when they asked for it.
 *
 * @param opsFor further writes of the event's commit
 * @returns the event's ID
 * @throws MatrixError as for an event that is sent at once
 */
export async function sendDelayed(
  core: RoomsCore,
  rooms: OpenRooms,
  row: DelayedEventRow,
  opsFor: (eventId: string) => readonly Op[],
): Promise<string> {
  const { delayId, roomId, userId, deviceId, type, stateKey } = row
  const content = JSON.parse(row.content) as JsonObject
  const account = await core.accounts.findAccount(userId)
  if (!account || account.isDeactivated) throw forbidden('This account is gone')
  const { isAdmin, isGuest, isSuspended = false } = account
  const requester: Requester = { userId, deviceId, isAdmin, isSuspended, isGuest, tokenId: '' }
  requireNotSuspended(requester)
  const createdTs = row.createdTs ?? undefined
  const accompanying = {
    local: { deviceId, delayId },
    ops: ({ eventId }: { readonly eventId: string }) => opsFor(eventId),
  }
  if (stateKey === null) {
    return sendMessage(core, rooms, { roomId, requester, type, content, createdTs, txnId: delayId, accompanying })
  }
  if (type !== 'm.room.member') {
    return setState(core, rooms, { roomId, sender: userId, type, stateKey, content, createdTs, accompanying })
  }
  return putMembership(core, rooms, {
    roomId,
    sender: userId,
    target: stateKey,
    content,
    isGuest,
    createdTs,
    accompanying,
  })
}
