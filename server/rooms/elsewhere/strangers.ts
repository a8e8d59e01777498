/**
 * Membership events of our users in rooms that this server is not in, as servers that are send them: an invite is taken back, a
 * knock is turned down. Only their end can come this way; invites have an endpoint of their own.
 */
import { serverNameOf } from '../../../shared/matrix/identifiers.ts'
import { type Json, referencedIds } from '../../protocol/pdu.ts'
import { findRoomVersion } from '../../protocol/room-versions.ts'
import type { RoomsCore } from '../core.ts'
import type { OpenRooms } from '../open-rooms.ts'
import { parseReceived } from '../receive/parse.ts'
import { keysOf, verify } from '../receive/verify.ts'
import { isElsewhere, setOutside } from './outside.ts'
import { outsideRooms } from './store.ts'

/**
 * Takes such an event in. What shows that it is true, as far as we can tell from outside: its sender's server signed it, and it
 * names the invite or knock that it ends, whose ID only those in the room know.
 *
 * @param received.json read by `parseJson`
 * @param received.from the server that sent it
 * @returns whether it was of use; nothing is kept of it otherwise
 */
export async function receiveForStranger(
  core: RoomsCore,
  rooms: OpenRooms,
  received: { readonly roomId: string; readonly json: Json; readonly from: string },
): Promise<boolean> {
  const { roomId, json, from } = received
  const outside = await core.store.home.get(outsideRooms, roomId)
  const rules = outside && findRoomVersion(outside.version)
  if (!rules) return false
  {
    using held = await rooms.hold(roomId)
    // The room has it from elsewhere.
    if (!isElsewhere(core, held?.room)) return false
  }
  const parsed = parseReceived(json, roomId, rules)
  if (!parsed.ok) return false
  const { eventId, pdu } = parsed.event
  const { type, sender, state_key: userId } = pdu
  if (type !== 'm.room.member' || userId === undefined || !core.isLocal(userId) || core.isLocal(sender)) return false
  const { membership } = pdu.content
  if (membership !== 'leave' && membership !== 'ban') return false
  const now = await core.memberships.find(userId, roomId)
  const isEnd = now !== undefined && referencedIds(pdu.auth_events).includes(now.eventId)
  if (!isEnd) return false
  const verified = verify(await keysOf(core, [pdu], rules), parsed.event, parsed.text, rules)
  if (!verified.ok) return false
  const isWritten = await setOutside(core, rooms, {
    roomId,
    userId,
    membership,
    rules,
    eventId,
    pdu: verified.event.pdu,
    via: from,
    isStillDue: (entry) =>
      entry?.eventId === now.eventId && (entry.membership === 'invite' || entry.membership === 'knock'),
  })
  if (isWritten) {
    const { logger } = core.environment
    logger.info({ event: 'rooms.invite.withdrawn', roomId, eventId, origin: serverNameOf(sender) })
  }
  return isWritten
}
