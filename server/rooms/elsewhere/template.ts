/**
 * Membership events that another server drafts for one of our users. We sign what we build ourselves: of a template only the
 * place in the DAG is taken, and who vouches for a restricted join.
 * Spec: server-server-api §Joining Rooms, §Knocking upon a room, §Leaving Rooms.
 */
import { badJson, MatrixError, tooLarge } from '../../../shared/matrix/errors.ts'
import { isRoomIdOfHash, isRoomIdWithDomain, isUserId, serverNameOf } from '../../../shared/matrix/identifiers.ts'
import type { Template } from '../../federation/index.ts'
import { CanonicalJsonError, checkCanonicalJson } from '../../protocol/canonical-json.ts'
import { depthOf, MAX_AUTH_EVENTS, MAX_PREV_EVENTS, parsePdu } from '../../protocol/event-format.ts'
import { type EventDraft, finishEvent, MAX_OWN_EVENT_DEPTH } from '../../protocol/event-signing.ts'
import { isJsonObject, numberOf } from '../../protocol/json.ts'
import type { EventReference, IdentifiedPdu, Json, JsonObject, Pdu } from '../../protocol/pdu.ts'
import { referencedIds } from '../../protocol/pdu.ts'
import { findRoomVersion, type RoomVersionRules } from '../../protocol/room-versions.ts'
import { newEventId } from '../build.ts'
import type { RoomsCore } from '../core.ts'
import { badAnswer } from './servers.ts'

/** What we want to say with the help of another server. */
export interface OwnMembership {
  readonly roomId: string
  readonly userId: string
  readonly membership: 'join' | 'leave' | 'knock'
  /** Besides `membership` and what a restricted join needs. */
  readonly content: JsonObject
}

export interface OwnEvent extends IdentifiedPdu {
  readonly rules: RoomVersionRules
}

/** Leaves room for what else is in an event. */
const MAX_CONTENT_BYTES = 48 * 1024
/** The version that old servers do not name. */
const UNNAMED_VERSION = '1'

/**
 * The rules of the room that a template is for.
 * @throws RemoteError for a version that cannot be this room's; MatrixError 400 M_INCOMPATIBLE_ROOM_VERSION for one that we do not know
 */
export function rulesOfTemplate(server: string, { roomVersion }: Template, roomId: string): RoomVersionRules {
  const version = roomVersion ?? UNNAMED_VERSION
  const rules = findRoomVersion(version)
  if (!rules) {
    throw new MatrixError('M_INCOMPATIBLE_ROOM_VERSION', 400, 'This server does not know the version of that room', {
      room_version: version,
    })
  }
  const isIts = rules.roomIdIsCreateHash ? isRoomIdOfHash(roomId) : isRoomIdWithDomain(roomId)
  if (!isIts) throw badAnswer(server, `the room's ID is not one of version ${version}`)
  return rules
}

/**
 * Builds, hashes and signs the event that we asked a template for.
 * @throws RemoteError where the template is not for that event, or what is taken from it is malformed; MatrixError as `rulesOfTemplate`
 */
export function eventFromTemplate(core: RoomsCore, server: string, template: Template, own: OwnMembership): OwnEvent {
  const { environment, signingKey } = core
  const { roomId, userId, membership } = own
  requireFit(own.content)
  const rules = rulesOfTemplate(server, template, roomId)
  const { event } = template
  requireSame(server, event, own)
  const prev = referencesIn(server, event, 'prev_events', MAX_PREV_EVENTS, rules)
  if (prev.length === 0) throw badAnswer(server, 'the template has no prev_events')
  const auth = referencesIn(server, event, 'auth_events', MAX_AUTH_EVENTS, rules)
  const voucher = membership === 'join' && rules.restrictedJoins ? voucherIn(server, event) : undefined
  const draft: EventDraft = {
    ...(rules.eventIds === 'inEvent' && { event_id: newEventId(environment) }),
    room_id: roomId,
    type: 'm.room.member',
    sender: userId,
    state_key: userId,
    content: {
      ...own.content,
      ...(voucher !== undefined && { join_authorised_via_users_server: voucher }),
      membership,
    },
    prev_events: prev,
    auth_events: auth,
    depth: depthIn(server, event),
    origin_server_ts: environment.clock.now(),
  }
  const built = finish(core, server, draft, rules, signingKey)
  const parsed = parsePdu(built.pdu as unknown as Json, rules)
  if (!parsed.ok) throw badAnswer(server, `nothing can be made of the template: ${parsed.why}`)
  return { ...built, rules }
}

/** What the user said themself is not to be blamed on the other server. */
function requireFit(content: JsonObject): void {
  const json = checkCanonicalJson(content, true, MAX_OWN_EVENT_DEPTH - 1)
  if (!json.ok) throw badJson(json.why)
  if (Buffer.byteLength(JSON.stringify(content)) > MAX_CONTENT_BYTES) {
    throw tooLarge(`The content is larger than ${MAX_CONTENT_BYTES} bytes`)
  }
}

function finish(
  { environment: { serverName } }: RoomsCore,
  server: string,
  draft: EventDraft,
  rules: RoomVersionRules,
  key: RoomsCore['signingKey'],
): IdentifiedPdu {
  try {
    return finishEvent({ draft, rules, serverName, key })
  } catch (error) {
    if (error instanceof CanonicalJsonError)
      throw badAnswer(server, `the template has no canonical form: ${error.message}`)
    throw error
  }
}

/** Who gives another event to sign than the one that was asked for has something in mind. */
function requireSame(server: string, event: JsonObject, { roomId, userId, membership }: OwnMembership): void {
  const wanted = { type: 'm.room.member', room_id: roomId, sender: userId, state_key: userId }
  for (const [key, value] of Object.entries(wanted)) {
    if (!Object.hasOwn(event, key) || event[key] !== value)
      throw badAnswer(server, `the template's ${key} is another one`)
  }
  const { content } = event
  if (!isJsonObject(content) || content.membership !== membership) {
    throw badAnswer(server, `the template's membership is not ${membership}`)
  }
}

function referencesIn(
  server: string,
  event: JsonObject,
  key: 'prev_events' | 'auth_events',
  limit: number,
  rules: RoomVersionRules,
): readonly EventReference[] {
  const list = event[key]
  if (!Array.isArray(list) || list.length > limit) throw badAnswer(server, `the template has no fit ${key}`)
  const references = (list as readonly Json[]).map((one) => referenceIn(server, one, key, rules))
  const ids = referencedIds(references)
  if (new Set(ids).size !== ids.length) throw badAnswer(server, `the template names an event twice in ${key}`)
  return references
}

function referenceIn(server: string, one: Json, key: string, rules: RoomVersionRules): EventReference {
  if (rules.eventIds !== 'inEvent') {
    if (typeof one === 'string') return one
  } else if (Array.isArray(one) && one.length === 2) {
    const [id, hashes] = one as readonly Json[]
    // Nobody looks at the hash, and Synapse leaves it out of its templates.
    if (typeof id === 'string' && isJsonObject(hashes)) {
      return [id, typeof hashes.sha256 === 'string' ? { sha256: hashes.sha256 } : {}]
    }
  }
  throw badAnswer(server, `the template's ${key} has an entry that is no reference to an event`)
}

/** An event that builds on others is at least the second. */
function depthIn(server: string, event: JsonObject): number {
  const depth = depthOf(event as unknown as Pdu)
  const given = numberOf(event.depth)
  if (given === undefined || !Number.isInteger(depth) || depth < 1)
    throw badAnswer(server, "the template's depth is no depth")
  return depth
}

/** Only the server that we asked can vouch for us with its signature. Spec: §Restricted rooms. */
function voucherIn(server: string, { content }: JsonObject): string | undefined {
  if (!isJsonObject(content) || !Object.hasOwn(content, 'join_authorised_via_users_server')) return undefined
  const voucher = content.join_authorised_via_users_server
  if (typeof voucher !== 'string' || !isUserId(voucher) || serverNameOf(voucher) !== server) {
    throw badAnswer(server, 'the template names somebody of another server as the one who lets the user in')
  }
  return voucher
}
