import { badJson, tooLarge } from '../../shared/matrix/errors.ts'
import { utf8ByteLength } from '../../shared/matrix/identifiers.ts'
import type { Environment } from '../observe/environment.ts'
import { selectAuthEvents } from '../protocol/auth-rules/index.ts'
import { encodeBase64Url } from '../protocol/base64.ts'
import { CanonicalJsonError } from '../protocol/canonical-json.ts'
import { MAX_PDU_BYTES, MAX_PREV_EVENTS, nextDepth } from '../protocol/event-format.ts'
import { type EventDraft, finishEvent } from '../protocol/event-signing.ts'
import type { IdentifiedPdu, JsonObject } from '../protocol/pdu.ts'
import type { RoomVersionRules } from '../protocol/room-versions.ts'
import type { SigningKey } from '../protocol/signing-key.ts'
import type { KeptEvent } from './event.ts'
import { type Extremity, referenceTo } from './heads.ts'
import type { StateMap } from './state-map.ts'

/** An event that one of our users wants to send. */
export interface EventWish {
  readonly type: string
  readonly sender: string
  readonly stateKey?: string | undefined
  readonly content: JsonObject
  /** For redactions: what they are aimed at. Goes where the room's version wants it. */
  readonly redacts?: string | undefined
  /** `origin_server_ts` where it is not the time of now. Spec: application-service-api §Timestamp massaging. */
  readonly createdTs?: number | undefined
}

/** An event of ours, complete and signed. */
export interface BuiltEvent {
  readonly event: IdentifiedPdu
  readonly json: string
  /** The events that its `auth_events` name. */
  readonly authEvents: readonly KeptEvent[]
}

/** The longest event type and state key, in bytes. Spec: client-server-api §Size limits. */
const MAX_KEY_BYTES = 255

/**
 * Which extremities a new event builds on: all of them, or in a room that is forked beyond measure the deepest ones; the
 * next events take in the rest.
 */
export function previousOf(extremities: readonly Extremity[]): readonly Extremity[] {
  if (extremities.length <= MAX_PREV_EVENTS) return extremities
  return [...extremities].sort((a, b) => b.depth - a.depth).slice(0, MAX_PREV_EVENTS)
}

/**
 * Builds, hashes and signs an event of ours.
 * Spec: server-server-api §PDUs, §Auth events selection, §Signing Events.
 *
 * @param build.roomId absent for the create event of room version 12 and later
 * @param build.state the state before the event
 * @throws MatrixError 413 M_TOO_LARGE, 400 M_BAD_JSON for content without a canonical form
 */
export function buildEvent(build: {
  readonly environment: Environment
  readonly signingKey: SigningKey
  readonly rules: RoomVersionRules
  readonly roomId: string | undefined
  readonly wish: EventWish
  readonly previous: readonly Extremity[]
  readonly state: StateMap
  readonly createdTs: number
}): BuiltEvent {
  const { environment, signingKey, rules, roomId, wish, previous, state } = build
  if (utf8ByteLength(wish.type) > MAX_KEY_BYTES) throw tooLarge(`The event type is longer than ${MAX_KEY_BYTES} bytes`)
  if (wish.stateKey !== undefined && utf8ByteLength(wish.stateKey) > MAX_KEY_BYTES) {
    throw tooLarge(`The state key is longer than ${MAX_KEY_BYTES} bytes`)
  }
  const content =
    wish.redacts !== undefined && rules.redactionV11 ? { ...wish.content, redacts: wish.redacts } : wish.content
  const authEvents = selectAuthEvents(
    { type: wish.type, sender: wish.sender, state_key: wish.stateKey, content },
    (type, stateKey) => state.get(type, stateKey),
    rules,
  ) as readonly KeptEvent[]
  const draft: EventDraft = {
    ...(rules.eventIds === 'inEvent' && { event_id: newEventId(environment) }),
    ...(roomId !== undefined && { room_id: roomId }),
    type: wish.type,
    sender: wish.sender,
    ...(wish.stateKey !== undefined && { state_key: wish.stateKey }),
    content,
    ...(wish.redacts !== undefined && !rules.redactionV11 && { redacts: wish.redacts }),
    prev_events: previous.map(({ reference }) => reference),
    auth_events: authEvents.map((event) => referenceTo(event, rules)),
    depth: nextDepth(previous.map(({ depth }) => depth)),
    origin_server_ts: build.createdTs,
  }
  const event = finish(draft, rules, environment.serverName, signingKey)
  const json = JSON.stringify(event.pdu)
  if (Buffer.byteLength(json) > MAX_PDU_BYTES) throw tooLarge(`The event is larger than ${MAX_PDU_BYTES} bytes`)
  return { event, json, authEvents }
}

function finish(draft: EventDraft, rules: RoomVersionRules, serverName: string, key: SigningKey): IdentifiedPdu {
  try {
    return finishEvent({ draft, rules, serverName, key })
  } catch (error) {
    if (error instanceof CanonicalJsonError) throw badJson(error.message)
    throw error
  }
}

/** An event ID of room versions 1 and 2. Spec: rooms/v1 §Event IDs. */
export function newEventId({ random, serverName }: Environment): string {
  return `$${encodeBase64Url(random.bytes(18))}:${serverName}`
}
