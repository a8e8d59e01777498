/**
 * Invites of people by an address of theirs, once it is known whose it is.
 * Spec: server-server-api §Third-party invites; client-server-api §Third-party invites.
 */
import { forbidden, invalidParam, MatrixError, notFound } from '../../../shared/matrix/errors.ts'
import { isUserId, serverNameOf } from '../../../shared/matrix/identifiers.ts'
import { isJsonObject } from '../../protocol/json.ts'
import type { Json, JsonObject } from '../../protocol/pdu.ts'
import { isSignedByAny } from '../../protocol/signing.ts'
import type { RoomsCore } from '../core.ts'
import type { OpenRooms } from '../open-rooms.ts'
import { isServerAllowed } from '../server-acl.ts'
import { checkInvitee } from '../set-membership.ts'
import { inviteByAddress, inviteElsewhere } from './invite.ts'
import { isElsewhere } from './outside.ts'
import { forClient, isRemoteFailure } from './servers.ts'

/** An identity server's word that an address which was invited to a room is a user's. */
export interface AddressInvite {
  readonly roomId: string
  /** Who invited the address. */
  readonly sender: string
  /** With `mxid`, `token` and `signatures`. */
  readonly signed: JsonObject
  /** What stands for the person in the room; without it what the room's third-party invite says. */
  readonly displayName?: string | undefined
}

/**
 * Turns an invite of an address into one of our user: here, where we are in the room, else with the help of the inviter's server,
 * which then invites the user.
 *
 * @throws MatrixError 403 M_FORBIDDEN where the room knows no such invite, or the other server refuses; 502 where it cannot be reached
 */
export async function claimAddressInvite(core: RoomsCore, rooms: OpenRooms, invite: AddressInvite): Promise<void> {
  const { roomId, sender, signed } = invite
  const { mxid: userId } = checkSigned(signed)
  if (!core.isLocal(userId)) throw invalidParam('mxid is not a user of this server')
  if (!isUserId(sender)) throw invalidParam('sender is not a user ID')
  await checkInvitee(core, userId)
  using held = await rooms.hold(roomId)
  const room = held?.room
  if (room && !isElsewhere(core, room)) {
    const offer = room.head.state.get('m.room.third_party_invite', String(signed.token))?.pdu.content
    if (!offer) throw forbidden('There is no such invite')
    await requireValidKey(core, signed, offer)
    const content = contentOf(invite, offer)
    await inviteByAddress(core, room, { roomId, sender, target: userId, content })
    return
  }
  if (!core.peers || core.isLocal(sender)) throw notFound('This server does not know the room')
  const event: JsonObject = {
    type: 'm.room.member',
    room_id: roomId,
    sender,
    state_key: userId,
    content: { membership: 'invite', ...contentOf(invite, undefined) },
  }
  try {
    await core.peers.exchangeThirdPartyInvite(serverNameOf(sender), roomId, event)
  } catch (error) {
    if (!isRemoteFailure(error)) throw error
    throw forClient(error)
  }
}

/**
 * Another server's user claims an invite of theirs by one of our users: we invite them.
 * @param request.origin the server that asks
 * @throws MatrixError 400 M_INVALID_PARAM, 403 M_FORBIDDEN, 404 M_NOT_FOUND, 502
 */
export async function exchangeAddressInvite(
  core: RoomsCore,
  rooms: OpenRooms,
  request: { readonly roomId: string; readonly event: JsonObject; readonly origin: string },
): Promise<void> {
  const { roomId, event, origin } = request
  const { type, room_id: inRoom, sender, state_key: userId, content } = event
  if (type !== 'm.room.member') throw invalidParam('type is not m.room.member')
  if (inRoom !== roomId) throw invalidParam('room_id is another one than that of the path')
  if (typeof sender !== 'string' || !isUserId(sender)) throw invalidParam('sender is not a user ID')
  if (typeof userId !== 'string' || !isUserId(userId)) throw invalidParam('state_key is not a user ID')
  if (!isJsonObject(content) || content.membership !== 'invite') throw invalidParam('membership is not invite')
  const { third_party_invite: claim } = content
  if (!isJsonObject(claim) || !isJsonObject(claim.signed)) throw invalidParam('third_party_invite.signed is missing')
  const { signed } = claim
  if (checkSigned(signed).mxid !== userId) throw invalidParam('mxid is not the state_key')
  if (serverNameOf(userId) !== origin) throw forbidden('The user is of another server than yours')
  if (!core.isLocal(sender)) throw forbidden('The sender is of another server than this')
  using held = await rooms.hold(roomId)
  const room = held?.room
  if (!room || isElsewhere(core, room)) throw notFound('There is no such room')
  const acl = room.head.state.get('m.room.server_acl')?.pdu.content
  if (acl && !isServerAllowed(origin, acl)) throw forbidden("The room's server ACL shuts you out")
  const offer = room.head.state.get('m.room.third_party_invite', String(signed.token))?.pdu
  if (offer?.sender !== sender) throw forbidden('There is no such invite')
  await requireValidKey(core, signed, offer.content)
  core.inviteThrottle.take({ server: origin, inviter: sender, invitee: userId })
  const shown = { roomId, sender, signed }
  await inviteElsewhere(core, rooms, { roomId, sender, target: userId, content: contentOf(shown, offer.content) })
}

/** What the identity server says, as far as the room's rules do not look at it. */
function checkSigned(signed: JsonObject): { readonly mxid: string } {
  const { mxid, token, signatures } = signed
  if (typeof mxid !== 'string' || !isUserId(mxid)) throw invalidParam('signed.mxid is not a user ID')
  if (typeof token !== 'string' || token === '') throw invalidParam('signed.token is missing')
  if (!isJsonObject(signatures)) throw new MatrixError('M_INVALID_PARAM', 400, 'signed.signatures is missing')
  return { mxid }
}

/** More keys than these are not looked at. */
const MAX_KEYS = 10

/**
 * Looks for a key of the invite that has signed, and is still valid where the invite says whom to ask. That is for the server
 * that makes the event: whether others take it must not hang on their network.
 *
 * @param offer the content of the room's `m.room.third_party_invite`
 * @throws MatrixError 403 M_FORBIDDEN where there is none
 */
async function requireValidKey(core: RoomsCore, signed: JsonObject, offer: JsonObject): Promise<void> {
  const listed = Array.isArray(offer.public_keys) ? (offer.public_keys as readonly Json[]) : []
  for (const entry of [...listed.slice(0, MAX_KEYS), offer]) {
    const { public_key: publicKey, key_validity_url: url } = isJsonObject(entry) ? entry : {}
    if (typeof publicKey !== 'string' || !isSignedByAny(signed, [publicKey])) continue
    if (url === undefined) return
    if (typeof url === 'string' && (await core.isKeyValid?.(url, publicKey))) return
  }
  throw forbidden('This is not signed by a key of the invite that is still valid')
}

function contentOf({ signed, displayName }: AddressInvite, offer: JsonObject | undefined): JsonObject {
  const shown = offer?.display_name ?? displayName
  // All that was signed: identity servers sign who has invited, too.
  return { third_party_invite: { display_name: typeof shown === 'string' ? shown : '', signed } }
}
