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
import type { OpenRoom } from './open-room.ts'
import type { OpenRooms } from './open-rooms.ts'
import { membersKnown } from './partial-state.ts'
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
export async function targetKnown({ environment }: RoomsCore, room: OpenRoom, target: string): Promise<void> {
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

/**
 * Brings a user into a room, here or through other servers.
 * @param here sets the membership in a room that this server is in
 * @returns what that gave; `undefined` where the user came in through another server
 */
export async function comeIn<T>(
  core: RoomsCore,
  rooms: OpenRooms,
  { roomId, userId, content, isGuest, via = [] }: JoinWish,
  here: (wish: MembershipWish) => Promise<T>,
): Promise<T | undefined> {
  const elsewhere = { roomId, userId, content, isGuest, via }
  const open = rooms.findOpen(roomId)
  // Who asks first for a room in use comes first.
  if (open ? isElsewhere(core, open) : await isOutside(core, rooms, roomId)) {
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

/** Whether what the user does there must go through other servers. */
export async function isOutside(core: RoomsCore, rooms: OpenRooms, roomId: string): Promise<boolean> {
  using held = await rooms.hold(roomId)
  return isElsewhere(core, held?.room)
}

/** Whether a user was invited to a room that this server is in, by an event that has not come into it yet. */
async function isUnheardOf(
  core: RoomsCore,
  rooms: OpenRooms,
  { roomId, userId }: Pick<OwnAction, 'roomId' | 'userId'>,
): Promise<boolean> {
  using held = await rooms.hold(roomId)
  if (!held || held.room.head.state.get('m.room.member', userId)) return false
  const membership = (await core.memberships.find(userId, roomId))?.membership
  return membership === 'invite' || membership === 'knock'
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
  const evenIfHere = await isUnheardOf(core, rooms, action)
  if (evenIfHere || (await isOutside(core, rooms, roomId))) {
    const left = await leaveElsewhere(core, rooms, { roomId, userId, content: contentOf(reason), evenIfHere })
    if (left === 'left') return
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
