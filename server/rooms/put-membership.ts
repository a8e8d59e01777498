import { MatrixError } from '../../shared/matrix/errors.ts'
import { isUserId } from '../../shared/matrix/identifiers.ts'
import type { JsonObject } from '../protocol/pdu.ts'
import { carryOver } from './carry-over.ts'
import type { Membership } from './contract.ts'
import type { RoomsCore } from './core.ts'
import { inviteElsewhere } from './elsewhere/invite.ts'
import { knockElsewhere } from './elsewhere/knock.ts'
import { leaveElsewhere } from './elsewhere/leave.ts'
import { comeIn, isOutside, targetKnown } from './membership-cases.ts'
import type { OpenRoom } from './open-room.ts'
import type { OpenRooms } from './open-rooms.ts'
import type { Accompanying } from './receive/commit.ts'
import { findInvitee, type MembershipWish, setMembership } from './set-membership.ts'

/**
 * A membership as a client sets it by `PUT …/state/m.room.member/{userId}`.
 * @returns the event's ID
 */
export async function putMembership(
  core: RoomsCore,
  rooms: OpenRooms,
  setting: {
    roomId: string
    sender: string
    target: string
    content: JsonObject
    isGuest: boolean
    createdTs?: number | undefined
    accompanying?: Accompanying
  },
): Promise<string> {
  const { roomId, sender, target, content, isGuest, createdTs, accompanying } = setting
  const { membership, ...extra } = content
  if (typeof membership !== 'string' || !MEMBERSHIPS.has(membership)) {
    throw new MatrixError('M_BAD_JSON', 400, 'membership is none of invite, join, knock, leave and ban')
  }
  // What guests cannot do at the endpoints of memberships, they cannot do here. Spec: client-server-api §Guest Access.
  if (isGuest && (target !== sender || (membership !== 'join' && membership !== 'leave'))) {
    throw new MatrixError('M_GUEST_ACCESS_FORBIDDEN', 403, 'Guests may only join and leave')
  }
  if (membership === 'invite' && isUserId(target) && !core.isLocal(target)) {
    return inviteElsewhere(core, rooms, { roomId, sender, target, content: extra }, accompanying)
  }
  if (membership === 'invite') await findInvitee(core, target)
  const act =
    (wish: MembershipWish) =>
    async (room: OpenRoom): Promise<string> => {
      await targetKnown(core, room, target)
      const { durable } = await room.enter(() => setMembership(core, room, { ...wish, createdTs }, accompanying))
      return (await durable).eventId
    }
  const wish: MembershipWish = { sender, target, membership: membership as Membership, extra, isGuest }
  if (sender !== target) return rooms.useAsMember(roomId, act(wish))
  if (membership === 'join') {
    const { join_authorised_via_users_server: _, ...own } = extra
    const come = { roomId, userId: sender, content: own, isGuest }
    const eventId = await comeIn(core, rooms, come, (here) => rooms.use(roomId, act(here)))
    await carryOver(core, rooms, { userId: sender, roomId })
    return eventId ?? (await ownMembershipEvent(core, roomId, sender, accompanying))
  }
  if ((membership === 'leave' || membership === 'knock') && (await isOutside(core, rooms, roomId))) {
    const elsewhere = { roomId, userId: sender, content: extra, via: [] }
    const outcome =
      membership === 'leave'
        ? await leaveElsewhere(core, rooms, elsewhere)
        : await knockElsewhere(core, rooms, elsewhere)
    if (outcome !== 'here') return ownMembershipEvent(core, roomId, sender, accompanying)
  }
  return rooms.use(roomId, act(wish))
}

/** The event by which the user came to what they are, with what was to be written along with it. */
async function ownMembershipEvent(
  core: RoomsCore,
  roomId: string,
  userId: string,
  accompanying: Accompanying | undefined,
): Promise<string> {
  const entry = await core.memberships.find(userId, roomId)
  if (!entry) throw new Error(`the membership of ${userId} in ${roomId} was not written`)
  const { eventId } = entry
  const ops = accompanying?.ops
  if (ops) await core.store.commit((position) => ops({ eventId }, position))
  return eventId
}

const MEMBERSHIPS: ReadonlySet<string> = new Set(['invite', 'join', 'knock', 'leave', 'ban'])
