/**
 * Membership events that users of other servers send through us: we are in the room, and pass them on.
 * Spec: server-server-api §Joining Rooms, §Knocking upon a room, §Leaving Rooms.
 */
import { forbidden, invalidParam, type MatrixError } from '../../../shared/matrix/errors.ts'
import { serverNameOf } from '../../../shared/matrix/identifiers.ts'
import { CanonicalJsonError } from '../../protocol/canonical-json.ts'
import { cosignEvent } from '../../protocol/event-signing.ts'
import { contentHashMatches } from '../../protocol/hashes.ts'
import { type IdentifiedPdu, type Json, referencedIds } from '../../protocol/pdu.ts'
import type { RoomsCore } from '../core.ts'
import { type KeptEvent, membershipIn } from '../event.ts'
import { allMembers } from '../heads.ts'
import type { OpenRoom } from '../open-room.ts'
import type { OpenRooms } from '../open-rooms.ts'
import { isRecommended, withPolicySignature } from '../policy-signature.ts'
import { judge, loadAuthEvents, stateBefore } from '../receive/authorize.ts'
import { stageEvent } from '../receive/commit.ts'
import { parseReceived } from '../receive/parse.ts'
import { keptJson, keysOf, verify } from '../receive/verify.ts'
import { type GroupedState, stateOfGroup } from '../resolve.ts'
import type { StateMap } from '../state-map.ts'
import type { Asking } from './admission.ts'
import { withRoomFor } from './draft-membership.ts'
import { authoriserOf } from './restricted-join.ts'

export interface MembershipEvent extends Asking {
  readonly membership: 'join' | 'leave' | 'knock'
  /** As the request names it. */
  readonly eventId: string
  readonly json: Json
}

/** The event in the room, on disk. */
export interface TakenMembership {
  readonly event: KeptEvent
  /** The room's state before it. */
  readonly before: StateMap
  /** Servers with joined members before it. */
  readonly servers: readonly string[]
}

/**
 * Takes the event into the room; the same event again gives the same answer. What is refused leaves no trace.
 *
 * @throws MatrixError 400 M_INVALID_PARAM for anything but a well-formed and signed membership of the user that the asking
 *   server may speak for, under its ID, built on events that are known here; 403 M_FORBIDDEN where the rules, the room's ACL or
 *   its policy server are against it; 404 M_NOT_FOUND; 400 as `authoriserOf`
 */
export function takeMembership(core: RoomsCore, rooms: OpenRooms, sent: MembershipEvent): Promise<TakenMembership> {
  return withRoomFor(core, rooms, sent, async (room) => {
    const event = await checked(core, rooms, room, sent)
    return takeIn(core, room, event)
  })
}

/** Steps 1 and 2, and what the endpoint asks of the event. */
async function checked(
  core: RoomsCore,
  rooms: OpenRooms,
  room: OpenRoom,
  { json, eventId, server, membership }: MembershipEvent,
): Promise<IdentifiedPdu> {
  const { rules, roomId } = room
  const parsed = parseReceived(json, roomId, rules)
  if (!parsed.ok) throw invalidParam(`Not an event of this room: ${parsed.why}`)
  const { pdu } = parsed.event
  if (parsed.event.eventId !== eventId) throw invalidParam('The path names another event')
  if (pdu.type !== 'm.room.member' || pdu.content.membership !== membership) {
    throw invalidParam(`Not a membership event for a ${membership}`)
  }
  if (serverNameOf(pdu.sender) !== server) throw invalidParam('The sender is not a user of your server')
  if (pdu.state_key !== pdu.sender) throw invalidParam('state_key is not the sender')
  const signed = await cosigned(core, rooms, room, parsed.event)
  const verified = verify(await keysOf(core, [signed.pdu], rules), signed, parsed.text, rules)
  if (!verified.ok) throw invalidParam(`The event is not signed as it must be: ${verified.why}`)
  if (!contentHashMatches(pdu, rules)) throw invalidParam('The content hash is wrong')
  return withPolicySignature(core, room, signed)
}

/** With our signature, where the event names one of our users as who authorizes it, and they would. */
async function cosigned(
  core: RoomsCore,
  rooms: OpenRooms,
  room: OpenRoom,
  event: IdentifiedPdu,
): Promise<IdentifiedPdu> {
  const { rules } = room
  const { sender, content } = event.pdu
  const authoriser = content.join_authorised_via_users_server
  if (!rules.restrictedJoins || typeof authoriser !== 'string' || !core.isLocal(authoriser)) return event
  // Whether this one has the power to is for the rules.
  await authoriserOf(core, rooms, room, sender)
  try {
    const { environment, signingKey } = core
    const pdu = cosignEvent({ pdu: event.pdu, rules, serverName: environment.serverName, key: signingKey })
    return { ...event, pdu }
  } catch (error) {
    if (error instanceof CanonicalJsonError) throw invalidParam(error.message)
    throw error
  }
}

/** Steps 4 to 8. */
async function takeIn(core: RoomsCore, room: OpenRoom, event: IdentifiedPdu): Promise<TakenMembership> {
  const entered = await room.enter(async () => {
    const known = await room.find(event.eventId)
    // In room versions 1 and 2 anything may bear its ID.
    const isAnother = known !== undefined && known.pdu.hashes.sha256 !== event.pdu.hashes.sha256
    if (isAnother) throw invalidParam('The event has the ID of another one')
    if (known?.order != null) {
      requireRepeatable(room, known, event)
      const state = await stateOfGroup(room, known.groupBefore)
      return { before: state, servers: [...allMembers(state).servers.keys()], durable: room.durable(known) }
    }
    await requireKnown(room, event)
    const { head } = room
    const before = await stateBefore(room, referencedIds(event.pdu.prev_events))
    const staged = await stageAllowed(core, room, event, before, known)
    const servers = (before.state === head.state ? head : allMembers(before.state)).servers
    return { before: before.state, servers: [...servers.keys()], durable: staged.durable }
  })
  const { before, servers } = entered
  return { event: await entered.durable, before, servers }
}

/** That an event which is there already may be answered once more: who has left since is not told the room again. */
function requireRepeatable({ head }: OpenRoom, known: KeptEvent, { pdu }: IdentifiedPdu): void {
  if (known.isRejected || known.isSoftFailed) throw forbidden('The event has been rejected before')
  if (membershipIn(known) === 'join' && !head.joined.has(pdu.sender)) throw forbidden('The user has left since')
}

async function stageAllowed(
  core: RoomsCore,
  room: OpenRoom,
  event: IdentifiedPdu,
  before: GroupedState,
  outlier: KeptEvent | undefined,
): Promise<{ readonly durable: Promise<KeptEvent> }> {
  const { rules, head } = room
  const eventById = await loadAuthEvents(room, event)
  const judgement = judge({ event, rules, eventById, before: before.state, current: head.state })
  const why = judgement.outcome === 'accepted' ? policyAgainst(core, room, event) : judgement.why
  if (why !== undefined) {
    for (const { id } of before.newGroups ?? []) room.groups.discard(id)
    throw forbidden(why)
  }
  return stageEvent(core, room, { event, json: keptJson(event), before, judgement, outlier, isRelayed: true })
}

function policyAgainst(core: RoomsCore, room: OpenRoom, { pdu }: IdentifiedPdu): string | undefined {
  return isRecommended(core, room, pdu) ? undefined : "The room's policy server has not signed the event"
}

/** Who comes in through us builds on what we gave. Nothing is fetched for the sake of an outsider. */
async function requireKnown(room: OpenRoom, { pdu }: IdentifiedPdu): Promise<void> {
  for (const eventId of referencedIds(pdu.prev_events)) {
    if ((await room.find(eventId))?.order == null) throw unknownReference('prev_events')
  }
  for (const eventId of referencedIds(pdu.auth_events)) {
    if (!(await room.find(eventId))) throw unknownReference('auth_events')
  }
}

const unknownReference = (key: string): MatrixError => invalidParam(`${key} names an event that is not known here`)
