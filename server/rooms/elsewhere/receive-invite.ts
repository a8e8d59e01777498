/** Invites of our users by users of other servers. Spec: server-server-api §Inviting to a room. */
import { forbidden, invalidParam, MatrixError } from '../../../shared/matrix/errors.ts'
import { serverNameOf } from '../../../shared/matrix/identifiers.ts'
import { cosignEvent } from '../../protocol/event-signing.ts'
import { contentHashMatches, signedText } from '../../protocol/hashes.ts'
import type { IdentifiedPdu, Json, JsonObject, Pdu } from '../../protocol/pdu.ts'
import { findRoomVersion, type RoomVersionRules } from '../../protocol/room-versions.ts'
import type { RoomsCore } from '../core.ts'
import type { OpenRoom } from '../open-room.ts'
import type { OpenRooms } from '../open-rooms.ts'
import { parseReceived } from '../receive/parse.ts'
import { receive } from '../receive/receive.ts'
import { isServerAllowed } from '../server-acl.ts'
import { checkInvitee, findInvitee } from '../set-membership.ts'
import { checkSignatureOf } from './cosigned.ts'
import { isElsewhere, setOutside } from './outside.ts'
import { readTold } from './stripped.ts'

/** An invite as it stands in a request, of which only the origin is known to be true. */
export interface ReceivedInvite {
  readonly roomId: string
  readonly eventId: string
  readonly roomVersion: string
  /** Read by `parseJson`. */
  readonly event: Json
  /** `invite_room_state`: events, whole or stripped. */
  readonly strippedState: readonly Json[]
  /** The server that signed the request. */
  readonly origin: string
}

/**
 * Takes an invite in: it is checked, signed, and on disk when this resolves.
 * @returns the event with our signature
 * @throws MatrixError 400 M_INCOMPATIBLE_ROOM_VERSION, M_INVALID_PARAM, M_MISSING_PARAM; 403 M_FORBIDDEN, M_INVITE_BLOCKED;
 *   404 M_NOT_FOUND for a user who is not here; 429 M_LIMIT_EXCEEDED
 */
export async function receiveInvite(core: RoomsCore, rooms: OpenRooms, invite: ReceivedInvite): Promise<JsonObject> {
  const { roomId, origin } = invite
  const rules = rulesOf(invite.roomVersion)
  const event = await checkInvite(core, invite, rules)
  const { pdu, eventId } = event
  const userId = pdu.state_key ?? ''
  const told = readTold(invite.strippedState, roomId, rules)
  if (!told.ok) throw new MatrixError(told.errcode, 400, `invite_room_state: ${told.why}`)
  const known = await core.memberships.find(userId, roomId)
  const isRepeated = known?.eventId === eventId && known.membership === 'invite'
  if (!isRepeated) core.inviteThrottle.take({ server: origin, inviter: pdu.sender, invitee: userId })
  await findInvitee(core, userId)
  await checkInvitee(core, userId)
  const { environment, signingKey: key } = core
  const signed = cosignEvent({ pdu, rules, serverName: environment.serverName, key })

  using held = await rooms.hold(roomId)
  const isTaken = held !== undefined && (await takeIn(core, held.room, { ...invite, signed, rules }))
  if (!isTaken && !isRepeated) {
    const { type, sender, content } = pdu
    await setOutside(core, rooms, {
      roomId,
      userId,
      membership: 'invite',
      rules,
      eventId,
      pdu: signed,
      strippedState: [...told.strippedState, { type, state_key: userId, sender, content }],
      via: origin,
    })
  }
  environment.logger.info({ event: 'rooms.invited', roomId, eventId, origin })
  return signed as unknown as JsonObject
}

function rulesOf(version: string): RoomVersionRules {
  const rules = findRoomVersion(version)
  if (rules) return rules
  throw new MatrixError('M_INCOMPATIBLE_ROOM_VERSION', 400, 'This server does not know that room version', {
    room_version: version,
  })
}

/** That it is nothing but an invite of one of our users, by a user of the server that sent it, who signed it. */
async function checkInvite(core: RoomsCore, invite: ReceivedInvite, rules: RoomVersionRules): Promise<IdentifiedPdu> {
  const { roomId, eventId, origin } = invite
  const parsed = parseReceived(invite.event, roomId, rules)
  if (!parsed.ok) throw invalidParam(`The event is malformed: ${parsed.why}`)
  const { event } = parsed
  const { type, content, sender, state_key: target } = event.pdu
  if (event.eventId !== eventId) throw invalidParam('The event has another ID than the one in the path')
  if (type !== 'm.room.member' || content.membership !== 'invite') throw invalidParam('The event is no invite')
  if (target === undefined || !core.isLocal(target)) throw invalidParam('The invited user is not of this server')
  if (serverNameOf(sender) !== origin) throw invalidParam('The sender is a user of another server')
  const signed = await checkSignatureOf(core, origin, event.pdu, rules, signedText(event.pdu, rules))
  if (!signed.ok) throw invalidParam(`The event is not signed as it should be: ${signed.why}`)
  if (!contentHashMatches(event.pdu, rules)) throw invalidParam('The content hash does not match')
  const { unsigned: _, ...kept } = event.pdu
  return { eventId, pdu: kept }
}

/**
 * Where we are in the room the invite is an event like others, and its rules decide.
 * @returns whether the room has it; not where we have left the room, or lack what it builds on
 */
async function takeIn(
  core: RoomsCore,
  room: OpenRoom,
  invite: ReceivedInvite & { readonly signed: Pdu; readonly rules: RoomVersionRules },
): Promise<boolean> {
  const { signed, origin, rules } = invite
  if (room.rules.version !== rules.version) throw invalidParam('The room is of another version')
  if (isElsewhere(core, room)) return false
  const acl = room.head.state.get('m.room.server_acl')?.pdu.content
  if (acl && !isServerAllowed(origin, acl)) throw forbidden("The room's server ACL shuts you out")
  const reception = await receive(core, room, signed as unknown as Json)
  switch (reception.outcome) {
    case 'accepted':
    case 'known':
      return true
    // It comes again with what it builds on.
    case 'incomplete':
      return false
    case 'dropped':
    case 'rejected':
    case 'softFailed':
      throw forbidden('The invite is not allowed in this room')
  }
}
