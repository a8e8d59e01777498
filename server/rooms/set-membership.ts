import { badJson, forbidden, MatrixError, notFound } from '../../shared/matrix/errors.ts'
import { isUserId } from '../../shared/matrix/identifiers.ts'
import { roomStateOf } from '../protocol/auth-rules/index.ts'
import { canonicalJson } from '../protocol/canonical-json.ts'
import type { JsonObject } from '../protocol/pdu.ts'
import type { RoomVersionRules } from '../protocol/room-versions.ts'
import type { Membership } from './contract.ts'
import type { RoomsCore } from './core.ts'
import { type KeptEvent, membershipIn } from './event.ts'
import type { Heads } from './heads.ts'
import { blocksInvites } from './invite-permission.ts'
import type { OpenRoom } from './open-room.ts'
import { propose } from './propose.ts'
import type { Accompanying } from './receive/commit.ts'

/** A membership that somebody wants to set: their own, or another's. */
export interface MembershipWish {
  readonly sender: string
  readonly target: string
  readonly membership: Membership
  readonly reason?: string | undefined
  /** Further keys of the content, as a client gave them with `PUT …/state/m.room.member/…`. */
  readonly extra?: JsonObject
  readonly isGuest?: boolean
  /** `origin_server_ts` where it is not the time of now. */
  readonly createdTs?: number | undefined
}

/**
 * Sets a membership, after the checks that are this server's and not the room's. Only within `room.enter`.
 *
 * @returns the member event once it is durable; where nothing would change, the one that there is
 * @throws MatrixError 403 M_FORBIDDEN, M_INVITE_BLOCKED, M_GUEST_ACCESS_FORBIDDEN; 404 M_NOT_FOUND for an invitee who does not exist
 */
export async function setMembership(
  core: RoomsCore,
  room: OpenRoom,
  wish: MembershipWish,
  accompanying?: Accompanying,
): Promise<{ readonly durable: Promise<KeptEvent> }> {
  const { sender, target, membership, reason, extra = {} } = wish
  if (!isUserId(target)) throw badJson('A membership is set for a user ID')
  const current = room.head.state.get('m.room.member', target)
  if (membership === 'invite') await checkInvitee(core, target)
  if (membership === 'join' && wish.isGuest === true) requireGuestAccess(room)
  const { join_authorised_via_users_server: _, ...given } = extra
  const content: JsonObject = {
    ...(await profileFor(core, wish)),
    ...given,
    ...(membership === 'join' && target === sender && (await authorisation(core, room, target))),
    ...(reason !== undefined && { reason }),
    membership,
  }
  if (current && isRepeated(current, sender, content)) return { durable: room.durable(current) }
  const { createdTs } = wish
  return propose(core, room, { type: 'm.room.member', sender, stateKey: target, content, createdTs }, accompanying)
}

function isRepeated(current: KeptEvent, sender: string, content: JsonObject): boolean {
  if (current.pdu.sender !== sender || current.redactedBecause) return false
  const { join_authorised_via_users_server: _, ...before } = current.pdu.content
  const { join_authorised_via_users_server: __, ...after } = content
  return canonicalJson(before, false) === canonicalJson(after, false)
}

/** The name and picture that a member event shows: of those who take part, or are asked to. */
export async function profileFor(
  core: RoomsCore,
  { target, membership }: Pick<MembershipWish, 'target' | 'membership'>,
): Promise<JsonObject> {
  if (membership === 'leave' || membership === 'ban' || !core.isLocal(target)) return {}
  const { displayname, avatar_url } = await core.accounts.profileOf(target)
  return {
    ...(typeof displayname === 'string' && { displayname }),
    ...(typeof avatar_url === 'string' && { avatar_url }),
  }
}

/**
 * Lets application services make a user who is to be invited and is not there yet. Takes as long as they need, so it comes
 * before anything of the room is held up. Spec: application-service-api §Querying.
 */
export async function findInvitee(core: RoomsCore, target: string): Promise<void> {
  if (!core.claims || !isUserId(target) || !core.isLocal(target)) return
  if (!(await core.accounts.findAccount(target))) await core.claims.askForUser(target)
}

/** Spec: client-server-api §Invite permission. */
export async function checkInvitee(core: RoomsCore, target: string): Promise<void> {
  if (!core.isLocal(target)) {
    if (core.peers) return
    throw notFound('The server of the invited user cannot be reached')
  }
  const account = await core.accounts.findAccount(target)
  if (!account || account.isDeactivated) throw notFound('There is no such user on this server')
  if (await blocksInvites(core, target)) {
    throw new MatrixError('M_INVITE_BLOCKED', 403, 'The user does not want to be invited')
  }
}

/** Whether guests may be in the room. */
export const allowsGuests = (room: OpenRoom): boolean =>
  room.head.state.get('m.room.guest_access')?.pdu.content.guest_access === 'can_join'

/** Spec: client-server-api §Guest access. */
function requireGuestAccess(room: OpenRoom): void {
  if (allowsGuests(room)) return
  throw new MatrixError('M_GUEST_ACCESS_FORBIDDEN', 403, 'Guests may not join this room')
}

/**
 * Who vouches for a join that only the room's conditions allow: one of our users with the power to invite.
 * Spec: server-server-api §Restricted rooms; client-server-api §Restricted rooms.
 */
async function authorisation(core: RoomsCore, room: OpenRoom, userId: string): Promise<JsonObject> {
  const { state } = room.head
  const joinRules = state.get('m.room.join_rules')?.pdu.content
  const isRestricted = joinRules?.join_rule === 'restricted' || joinRules?.join_rule === 'knock_restricted'
  if (!isRestricted || !room.rules.restrictedJoins) return {}
  const membership = membershipIn(state.get('m.room.member', userId))
  if (membership === 'join' || membership === 'invite' || membership === 'ban') return {}
  if (!(await meetsCondition(core, userId, joinRules.allow))) {
    throw forbidden('You meet none of the conditions for joining this room')
  }
  const authoriser = findAuthoriser(core, room.head, room.rules)
  if (authoriser !== undefined) return { join_authorised_via_users_server: authoriser }
  throw new MatrixError('M_UNABLE_TO_GRANT_JOIN', 400, 'Nobody on this server has the power to let you in')
}

/** One of our users in the room who has the power to invite. */
export function findAuthoriser(
  core: RoomsCore,
  { state, joined }: Pick<Heads, 'state' | 'joined'>,
  rules: RoomVersionRules,
): string | undefined {
  const powers = roomStateOf((type, stateKey) => state.get(type, stateKey), rules)
  const needed = powers.powerNeeded('invite')
  for (const member of joined) if (core.isLocal(member) && powers.power(member) >= needed) return member
  return undefined
}

/** More conditions than these are not looked at. */
const MAX_CONDITIONS = 100

/**
 * Whether the user is in one of the rooms whose members may join.
 * @param allow of the room's `m.room.join_rules`
 */
export async function meetsCondition(core: RoomsCore, userId: string, allow: unknown): Promise<boolean> {
  if (!Array.isArray(allow)) return false
  for (const condition of allow.slice(0, MAX_CONDITIONS) as readonly unknown[]) {
    const { type, room_id: roomId } = (condition ?? {}) as { readonly type?: unknown; readonly room_id?: unknown }
    if (type !== 'm.room_membership' || typeof roomId !== 'string') continue
    if ((await core.memberships.find(userId, roomId))?.membership === 'join') return true
  }
  return false
}
