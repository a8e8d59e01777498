/** What people do with memberships. Spec: client-server-api §Room membership. */
import { forbidden, MatrixError, notFound } from '../../shared/matrix/errors.ts'
import { isUserId } from '../../shared/matrix/identifiers.ts'
import type { JsonObject } from '../protocol/pdu.ts'
import { put } from '../store/index.ts'
import { carryOver } from './carry-over.ts'
import type { Membership } from './contract.ts'
import type { RoomsCore } from './core.ts'
import { inviteElsewhere } from './elsewhere/invite.ts'
import { joinElsewhere } from './elsewhere/join.ts'
import { knockElsewhere } from './elsewhere/knock.ts'
import { leaveElsewhere } from './elsewhere/leave.ts'
import { isElsewhere } from './elsewhere/outside.ts'
import { type AddressInvite, claimAddressInvite } from './elsewhere/third-party-invites.ts'
import { membershipIn } from './event.ts'
import { membershipRow } from './memberships.ts'
import { membersKnown } from './partial-state.ts'
import type { OpenRoom } from './open-room.ts'
import type { OpenRooms } from './open-rooms.ts'
import type { Accompanying } from './receive/commit.ts'
import { hasOtherServers } from './room-servers.ts'
import { findInvitee, type MembershipWish, setMembership } from './set-membership.ts'
import { memberships } from './store.ts'

/** What one user does to another. */
export interface MemberAction {
  readonly roomId: string
  readonly by: string
  readonly target: string
  readonly reason?: string | undefined
}

export interface OwnAction {
  readonly roomId: string
  readonly userId: string
  readonly reason?: string | undefined
}

/** Whether the wish may go on, given the target's membership now; `'done'` where there is nothing left to do. */
type Precondition = (now: Membership | undefined) => 'done' | undefined

async function change(
  core: RoomsCore,
  rooms: OpenRooms,
  roomId: string,
  wish: MembershipWish,
  check: Precondition = () => undefined,
): Promise<void> {
  const act = async (room: OpenRoom): Promise<void> => {
    await targetKnown(core, room, wish.target)
    const outcome = await room.enter(async () => {
      const current = room.head.state.get('m.room.member', wish.target)
      if (check(membershipIn(current)) === 'done') return current && { durable: room.durable(current) }
      return setMembership(core, room, wish)
    })
    await outcome?.durable
  }
  await (wish.sender === wish.target ? rooms.use(roomId, act) : rooms.useAsMember(roomId, act))
}

/** How a user comes into a room, or asks to. */
export interface Entry {
  /** Servers that may be in the room. */
  readonly via?: readonly string[] | undefined
}

interface JoinWish extends Entry {
  readonly roomId: string
  readonly userId: string
  readonly content: JsonObject
  readonly isGuest: boolean
}

/** Where not all members are known, what the user is now may be anything. */
async function targetKnown({ environment }: RoomsCore, room: OpenRoom, target: string): Promise<void> {
  if (!room.head.state.get('m.room.member', target)) await membersKnown(environment.clock, room)
}

/** Joins a room; does nothing where the user is joined already. */
export async function join(
  core: RoomsCore,
  rooms: OpenRooms,
  action: OwnAction &
    Entry & {
      readonly isGuest: boolean
      /** An invite of an address that is the user's. */
      readonly addressInvite?: Pick<AddressInvite, 'sender' | 'signed'> | undefined
    },
): Promise<void> {
  const { roomId, userId, reason, isGuest, via, addressInvite } = action
  if (addressInvite) {
    if (addressInvite.signed.mxid !== userId) throw forbidden('The invite is not yours')
    await claimAddressInvite(core, rooms, { roomId, ...addressInvite })
  }
  await comeIn(core, rooms, { roomId, userId, content: contentOf(reason), isGuest, via }, (wish) =>
    change(core, rooms, roomId, wish, (now) => (now === 'join' ? 'done' : undefined)),
  )
  await carryOver(core, rooms, { userId, roomId })
}

const contentOf = (reason: string | undefined): JsonObject => (reason === undefined ? {} : { reason })

/** @param here sets the membership in a room that this server is in */
async function comeIn<T>(
  core: RoomsCore,
  rooms: OpenRooms,
  { roomId, userId, content, isGuest, via = [] }: JoinWish,
  here: (wish: MembershipWish) => Promise<T>,
): Promise<T | undefined> {
  const elsewhere = { roomId, userId, content, isGuest, via }
  if (await isOutside(core, rooms, roomId)) {
    if ((await joinElsewhere(core, rooms, elsewhere)) === 'joined') return undefined
  }
  const wish: MembershipWish = { sender: userId, target: userId, membership: 'join', extra: content, isGuest }
  try {
    return await here(wish)
  } catch (error) {
    const isNobodyHereAble = error instanceof MatrixError && error.errcode === 'M_UNABLE_TO_GRANT_JOIN'
    if (!isNobodyHereAble || !(await hasOthers(core, rooms, roomId))) throw error
    await joinElsewhere(core, rooms, { ...elsewhere, evenIfHere: true })
    return undefined
  }
}

async function isOutside(core: RoomsCore, rooms: OpenRooms, roomId: string): Promise<boolean> {
  using held = await rooms.hold(roomId)
  return isElsewhere(core, held?.room)
}

async function hasOthers(core: RoomsCore, rooms: OpenRooms, roomId: string): Promise<boolean> {
  using held = await rooms.hold(roomId)
  return core.peers !== undefined && held !== undefined && hasOtherServers(held.room.head, core.environment.serverName)
}

/** Asks to be let in. Spec: client-server-api §Knocking on rooms. */
export async function knock(core: RoomsCore, rooms: OpenRooms, action: OwnAction & Entry): Promise<void> {
  const { roomId, userId, reason, via = [] } = action
  if (await isOutside(core, rooms, roomId)) {
    const knocked = await knockElsewhere(core, rooms, { roomId, userId, content: contentOf(reason), via })
    if (knocked === 'knocked') return
  }
  await change(core, rooms, roomId, { sender: userId, target: userId, membership: 'knock', reason })
}

/** Leaves a room, turns down an invite, or takes back a knock. */
export async function leave(core: RoomsCore, rooms: OpenRooms, action: OwnAction): Promise<void> {
  const { roomId, userId, reason } = action
  if (await isOutside(core, rooms, roomId)) {
    if ((await leaveElsewhere(core, rooms, { roomId, userId, content: contentOf(reason) })) === 'left') return
  }
  await change(core, rooms, roomId, { sender: userId, target: userId, membership: 'leave', reason }, (now) => {
    if (now === undefined) throw forbidden('You are not in this room')
    return now === 'leave' ? 'done' : undefined
  })
}

export async function invite(
  core: RoomsCore,
  rooms: OpenRooms,
  { roomId, by, target, reason }: MemberAction,
): Promise<void> {
  if (isUserId(target) && !core.isLocal(target)) {
    await inviteElsewhere(core, rooms, { roomId, sender: by, target, content: contentOf(reason) })
    return
  }
  await findInvitee(core, target)
  await change(core, rooms, roomId, { sender: by, target, membership: 'invite', reason })
}

export async function kick(
  core: RoomsCore,
  rooms: OpenRooms,
  { roomId, by, target, reason }: MemberAction,
): Promise<void> {
  await change(core, rooms, roomId, { sender: by, target, membership: 'leave', reason }, (now) => {
    // The rules would let a ban be lifted this way.
    if (now === 'join' || now === 'invite' || now === 'knock') return undefined
    throw forbidden('The user is not in this room')
  })
}

export async function ban(
  core: RoomsCore,
  rooms: OpenRooms,
  { roomId, by, target, reason }: MemberAction,
): Promise<void> {
  await change(core, rooms, roomId, { sender: by, target, membership: 'ban', reason })
}

export async function unban(
  core: RoomsCore,
  rooms: OpenRooms,
  { roomId, by, target, reason }: MemberAction,
): Promise<void> {
  await change(core, rooms, roomId, { sender: by, target, membership: 'leave', reason }, (now) => {
    if (now !== 'ban') throw forbidden('The user is not banned from this room')
    return undefined
  })
}

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

/**
 * The user no longer wants to know of a room that they left. Spec: client-server-api §POST /rooms/{roomId}/forget.
 * @throws MatrixError 400 M_UNKNOWN while they are in it, 404 M_NOT_FOUND for a room that they never had to do with
 */
export async function forget(core: RoomsCore, rooms: OpenRooms, roomId: string, userId: string): Promise<void> {
  const work = async (): Promise<void> => {
    const entry = await core.memberships.find(userId, roomId)
    if (!entry) throw notFound('You never were in this room')
    if (entry.membership !== 'leave' && entry.membership !== 'ban') {
      throw new MatrixError('M_UNKNOWN', 400, 'You have not left this room')
    }
    if (entry.isForgotten) return
    const row = membershipRow({ ...entry, isForgotten: true })
    let settle: ReturnType<RoomsCore['announcer']['issue']> | undefined
    let position = 0
    try {
      await core.store.commit((assigned) => {
        position = assigned
        settle = core.announcer.issue(assigned)
        return [put(memberships, row)]
      })
      core.memberships.applied(row)
      core.announcer.announceForgotten({ userId, roomId, position })
    } finally {
      settle?.([])
    }
  }
  using held = await rooms.hold(roomId)
  if (!held) return await work()
  const { room } = held
  await room.enter(async () => {
    // Nothing that sets the membership may be under way.
    await room.flushed()
    await work()
  })
}
