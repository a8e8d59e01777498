/** Who vouches for a join of another server's user that only the room's conditions allow. Spec: server-server-api §Restricted rooms. */
import { forbidden, MatrixError } from '../../../shared/matrix/errors.ts'
import { serverNameOf } from '../../../shared/matrix/identifiers.ts'
import type { RoomsCore } from '../core.ts'
import { membershipIn } from '../event.ts'
import type { OpenRoom } from '../open-room.ts'
import type { OpenRooms } from '../open-rooms.ts'
import { allowedRooms } from '../room-summary.ts'
import { findAuthoriser } from '../set-membership.ts'
import { hasServer } from './admission.ts'

/**
 * The one of our users who authorizes a join.
 *
 * @returns `undefined` where the join needs nobody: the room is not restricted, or the user is invited or joined
 * @throws MatrixError 403 M_FORBIDDEN where the user meets no condition; 400 M_UNABLE_TO_AUTHORISE_JOIN where that cannot be
 *   told here, M_UNABLE_TO_GRANT_JOIN where none of our users has the power
 */
export async function authoriserOf(
  core: RoomsCore,
  rooms: OpenRooms,
  room: OpenRoom,
  userId: string,
): Promise<string | undefined> {
  const { visible } = room
  const rule = visible.state.get('m.room.join_rules')?.pdu.content.join_rule
  const isRestricted =
    (rule === 'restricted' && room.rules.restrictedJoins) || (rule === 'knock_restricted' && room.rules.knockRestricted)
  const membership = membershipIn(visible.state.get('m.room.member', userId))
  if (!isRestricted || membership === 'join' || membership === 'invite') return undefined
  // No condition helps who is banned: the rules say so.
  if (membership === 'ban') return undefined
  await requireCondition(core, rooms, allowedRooms(room), userId)
  const authoriser = findAuthoriser(core, visible, room.rules)
  if (authoriser !== undefined) return authoriser
  throw new MatrixError('M_UNABLE_TO_GRANT_JOIN', 400, 'Nobody on this server has the power to let the user in')
}

async function requireCondition(
  core: RoomsCore,
  rooms: OpenRooms,
  allowed: readonly string[],
  userId: string,
): Promise<void> {
  let isAllKnown = true
  for (const roomId of allowed) {
    // Of a room that we have left we do not know who is in it.
    const isHere = await hasServer(core, rooms, { server: core.environment.serverName, roomId })
    if (!isHere) isAllKnown = false
    else if (await hasServer(core, rooms, { server: serverNameOf(userId), roomId })) {
      using held = await rooms.hold(roomId)
      if (held?.room.visible.joined.has(userId)) return
      if (held?.room.partial) isAllKnown = false
    }
  }
  if (isAllKnown) throw forbidden('The user meets none of the conditions for joining this room')
  throw new MatrixError('M_UNABLE_TO_AUTHORISE_JOIN', 400, 'This server cannot tell whether the user may join')
}
