/**
 * Our users' invites of users of other servers: their server signs the invite before it becomes an event of the room.
 * Spec: server-server-api §Inviting to a room.
 */
import { badJson, forbidden, MatrixError, notFound } from '../../../shared/matrix/errors.ts'
import { isUserId, serverNameOf } from '../../../shared/matrix/identifiers.ts'
import { canonicalJson } from '../../protocol/canonical-json.ts'
import { type IdentifiedPdu, type Json, type JsonObject, referencedIds } from '../../protocol/pdu.ts'
import type { RoomsCore } from '../core.ts'
import { type KeptEvent, membershipIn } from '../event.ts'
import type { OpenRoom } from '../open-room.ts'
import type { OpenRooms } from '../open-rooms.ts'
import { membersKnown } from '../partial-state.ts'
import { signedByPolicy } from '../policy-signature.ts'
import { buildOnHead } from '../propose.ts'
import { acceptWithState } from '../receive/accept.ts'
import { judge, loadAuthEvents, stateBefore } from '../receive/authorize.ts'
import type { Accompanying } from '../receive/commit.ts'
import { shownState } from '../stripped-state.ts'
import { withSignatureOf } from './cosigned.ts'
import { forClient, isRemoteFailure } from './servers.ts'

export interface InviteWish {
  readonly roomId: string
  /** By the rules of the room, who invites; for an invite by address this may be a user of another server. */
  readonly sender: string
  readonly target: string
  readonly content: JsonObject
}

/**
 * Invites a user of another server.
 * @returns the invite's event ID, once it is durable; where the user is invited in the same words already, that invite's
 * @throws MatrixError 403 where the room's rules, or the other server, are against it; 404 without other servers; 502 where the
 *   other server cannot be reached
 */
export async function inviteElsewhere(
  core: RoomsCore,
  rooms: OpenRooms,
  wish: InviteWish,
  accompanying?: Accompanying,
): Promise<string> {
  const { roomId, target } = wish
  if (!isUserId(target)) throw badJson('A membership is set for a user ID')
  if (!core.peers) throw notFound('The server of the invited user cannot be reached')
  return rooms.useAsMember(roomId, async (room) => {
    if (!room.head.state.get('m.room.member', target)) await membersKnown(core.environment.clock, room)
    const draft = await room.enter(() => draftInvite(core, room, wish))
    if (draft.isThere) return (await room.durable(draft.event)).eventId
    const event = await cosigned(core, room, draft.event, serverNameOf(target))
    return stageInvite(core, room, event, accompanying)
  })
}

/** So many servers are asked at once. */
const PARALLEL = 10

/**
 * Invites many users of other servers to a room that was just made. It is there whether they can be reached or not, so that one
 * who cannot is only noted: they are not among the invited, and can be invited again.
 */
export async function inviteAll(
  core: RoomsCore,
  rooms: OpenRooms,
  wish: Omit<InviteWish, 'target'>,
  targets: readonly string[],
): Promise<void> {
  const left = targets.values()
  const inTurn = async (): Promise<void> => {
    for (const target of left) {
      try {
        await inviteElsewhere(core, rooms, { ...wish, target })
      } catch (error) {
        if (!(error instanceof MatrixError)) throw error
        const { roomId } = wish
        core.environment.logger.warn({ event: 'rooms.invite.refused', roomId, target, why: error.message })
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(PARALLEL, targets.length) }, inTurn))
}

/** As `inviteElsewhere` for one of our own users, whom somebody invited by an address: nobody else need sign. */
export async function inviteByAddress(core: RoomsCore, room: OpenRoom, wish: InviteWish): Promise<string> {
  const draft = await room.enter(() => draftInvite(core, room, wish))
  if (draft.isThere) return (await room.durable(draft.event)).eventId
  return stageInvite(core, room, draft.event)
}

type Draft =
  | { readonly isThere: true; readonly event: KeptEvent }
  | { readonly isThere: false; readonly event: IdentifiedPdu }

/** Builds the invite and judges it, so that nothing goes out that the room would not take. Only within `room.enter`. */
async function draftInvite(core: RoomsCore, room: OpenRoom, { sender, target, content }: InviteWish): Promise<Draft> {
  const current = room.head.state.get('m.room.member', target)
  const complete: JsonObject = { ...content, membership: 'invite' }
  if (current && membershipIn(current) === 'invite' && current.pdu.sender === sender && !current.redactedBecause) {
    const isSame = canonicalJson(current.pdu.content, false) === canonicalJson(complete, false)
    if (isSame) return { isThere: true, event: current }
  }
  const wish = { type: 'm.room.member', sender, stateKey: target, content: complete }
  const { built, before } = await buildOnHead(core, room, wish)
  const { event } = built
  const eventById = await loadAuthEvents(room, event)
  const verdict = judge({ event, rules: room.rules, eventById, before: before.state, current: room.head.state })
  if (verdict.outcome !== 'accepted') throw forbidden(verdict.why)
  return { isThere: false, event: await signedByPolicy(core, room, event) }
}

/** The event with the signature of the invited user's server. While it is asked, the room goes on. */
async function cosigned(core: RoomsCore, room: OpenRoom, event: IdentifiedPdu, server: string): Promise<IdentifiedPdu> {
  const { roomId, rules } = room
  const { eventId, pdu } = event
  const { state } = room.head
  const told = [...shownState(state), ...[state.get('m.room.member', pdu.sender) ?? []].flat()]
  try {
    const answer = await core.peers?.sendInvite(server, {
      roomId,
      eventId,
      roomVersion: rules.version,
      pdu,
      strippedState: told.map((shown) => shown.pdu as unknown as Json),
    })
    const signed = await withSignatureOf(core, server, { ...event, rules }, roomId, answer)
    if (signed) return { eventId, pdu: signed }
  } catch (error) {
    if (!isRemoteFailure(error)) throw error
    core.environment.logger.info({ event: 'rooms.invite.failed', roomId, server, why: error.message })
    throw forClient(error)
  }
  throw new MatrixError('M_UNKNOWN', 502, 'The server of the invited user did not sign the invite')
}

/** Others may have been faster meanwhile: then the invite stands beside what they did. */
async function stageInvite(
  core: RoomsCore,
  room: OpenRoom,
  event: IdentifiedPdu,
  accompanying: Accompanying = {},
): Promise<string> {
  const isRelayed = !core.isLocal(event.pdu.sender)
  const { judgement, durable } = await room.enter(async () => {
    const before = await stateBefore(room, referencedIds(event.pdu.prev_events))
    return acceptWithState(core, room, event, before, { ...accompanying, isRelayed })
  })
  await durable
  if (judgement.outcome !== 'accepted') throw forbidden(judgement.why)
  return event.eventId
}
