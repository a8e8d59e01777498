/**
 * The format of events: keys, types, sizes, identifiers. An event of another server that does not pass is dropped.
 * Spec: server-server-api §Checks performed on receipt of a PDU, 1; client-server-api §Size limits;
 * rooms/v1, v3, v4, v6, v11, v12 §Event format.
 */
import {
  isEventIdWithDomain,
  isRoomIdOfHash,
  isRoomIdWithDomain,
  isUserId,
  MAX_ID_BYTES,
  utf8ByteLength,
} from '../../shared/matrix/identifiers.ts'
import { checkCanonicalJson } from './canonical-json.ts'
import { ExactNumber, isJsonObject, numberOf } from './json.ts'
import { allow, type Json, type JsonObject, type Pdu, reject, type Verdict } from './pdu.ts'
import type { RoomVersionRules } from './room-versions.ts'

/** The largest event in bytes of canonical JSON, signatures included. */
export const MAX_PDU_BYTES = 65_536
export const MAX_PREV_EVENTS = 20
export const MAX_AUTH_EVENTS = 10
/** The greatest depth that we count to; events of room versions before 6 may have up to 2^63−1. */
export const MAX_DEPTH = Number.MAX_SAFE_INTEGER
const MAX_LEGACY_DEPTH = 2n ** 63n - 1n

const HASH_EVENT_ID = /^\$[0-9A-Za-z+/]{43}$/
const URL_SAFE_EVENT_ID = /^\$[0-9A-Za-z_-]{43}$/

export type ParsedPdu = { readonly ok: true; readonly pdu: Pdu } | { readonly ok: false; readonly why: string }

/** The event as a `Pdu`, if it is one by the format of its room version; otherwise a sentence about what is wrong. */
export function parsePdu(event: Json | undefined, rules: RoomVersionRules): ParsedPdu {
  const verdict = checkEventFormat(event, rules)
  return verdict.ok ? { ok: true, pdu: event as unknown as Pdu } : verdict
}

/**
 * Checks an event against the format of its room version, and all size limits.
 * Numbers must have been kept by `parseJson` for floats to be found that look like integers.
 */
export function checkEventFormat(event: Json | undefined, rules: RoomVersionRules): Verdict {
  if (!isJsonObject(event)) return reject('the event is not an object')
  const json = checkCanonicalJson(event, rules.strictCanonicalJson)
  if (!json.ok) return json
  for (const check of CHECKS) {
    const verdict = check(event, rules)
    if (!verdict.ok) return verdict
  }
  return allow
}

/**
 * An event's depth as a number that can be counted with: greater ones of room versions before 6, which JavaScript numbers
 * cannot hold, count as `MAX_DEPTH`.
 */
export function depthOf(pdu: Pdu): number {
  return Math.min(numberOf(pdu.depth) ?? 0, MAX_DEPTH)
}

/** The depth of a new event on top of others. */
export function nextDepth(depths: readonly number[]): number {
  return Math.min(Math.max(0, ...depths) + 1, MAX_DEPTH)
}

const CHECKS: readonly ((event: JsonObject, rules: RoomVersionRules) => Verdict)[] = [
  checkSize,
  checkType,
  checkSender,
  checkStateKey,
  checkRoomId,
  checkOwnEventId,
  checkContent,
  checkOriginServerTs,
  checkDepth,
  (event, rules) => checkReferences(event, 'prev_events', MAX_PREV_EVENTS, rules),
  (event, rules) => checkReferences(event, 'auth_events', MAX_AUTH_EVENTS, rules),
  checkHashes,
  checkSignaturesShape,
  checkRedacts,
  checkUnsigned,
]

function checkSize(event: JsonObject): Verdict {
  // Not canonical, but as long: only the order of keys differs.
  const bytes = Buffer.byteLength(JSON.stringify(event), 'utf8')
  return bytes <= MAX_PDU_BYTES ? allow : reject(`the event has ${bytes} bytes, more than ${MAX_PDU_BYTES}`)
}

function checkType({ type }: JsonObject): Verdict {
  if (typeof type !== 'string') return reject('type is not a string')
  return utf8ByteLength(type) <= MAX_ID_BYTES ? allow : reject(`type is longer than ${MAX_ID_BYTES} bytes`)
}

function checkStateKey(event: JsonObject): Verdict {
  if (!Object.hasOwn(event, 'state_key')) return allow
  if (typeof event.state_key !== 'string') return reject('state_key is not a string')
  return utf8ByteLength(event.state_key) <= MAX_ID_BYTES
    ? allow
    : reject(`state_key is longer than ${MAX_ID_BYTES} bytes`)
}

function checkContent({ content }: JsonObject): Verdict {
  return isJsonObject(content) ? allow : reject('content is not an object')
}

function checkSender({ sender }: JsonObject): Verdict {
  return typeof sender === 'string' && isUserId(sender) ? allow : reject('sender is not a user ID')
}

function checkRoomId(event: JsonObject, rules: RoomVersionRules): Verdict {
  const roomId = event.room_id
  if (rules.roomIdIsCreateHash && event.type === 'm.room.create') {
    return Object.hasOwn(event, 'room_id') ? reject('a create event of this room version has no room_id') : allow
  }
  const isId = rules.roomIdIsCreateHash ? isRoomIdOfHash : isRoomIdWithDomain
  return typeof roomId === 'string' && isId(roomId) ? allow : reject('room_id is not a room ID of this room version')
}

function checkOwnEventId(event: JsonObject, rules: RoomVersionRules): Verdict {
  // From version 3 on an `event_id` has no meaning, and is not forbidden either.
  if (rules.eventIds !== 'inEvent') return allow
  return isEventIdOf(event.event_id, rules) ? allow : reject('event_id is not an event ID of this room version')
}

function isEventIdOf(id: Json | undefined, rules: RoomVersionRules): boolean {
  if (typeof id !== 'string') return false
  switch (rules.eventIds) {
    case 'inEvent':
      return isEventIdWithDomain(id)
    case 'hash':
      return HASH_EVENT_ID.test(id)
    case 'hashUrlSafe':
      return URL_SAFE_EVENT_ID.test(id)
  }
}

function checkOriginServerTs({ origin_server_ts }: JsonObject): Verdict {
  return Number.isSafeInteger(origin_server_ts) ? allow : reject('origin_server_ts is not an integer in ±(2^53−1)')
}

function checkDepth({ depth }: JsonObject, rules: RoomVersionRules): Verdict {
  if (typeof depth === 'number' && Number.isSafeInteger(depth)) return depth >= 0 ? allow : reject('depth is below 0')
  const exact: unknown = depth
  if (rules.strictCanonicalJson || !(exact instanceof ExactNumber) || !exact.isInteger) {
    return reject('depth is not an integer')
  }
  const value = BigInt(exact.source)
  return value >= 0n && value <= MAX_LEGACY_DEPTH ? allow : reject('depth is not between 0 and 2^63−1')
}

function checkReferences(
  event: JsonObject,
  key: 'prev_events' | 'auth_events',
  limit: number,
  rules: RoomVersionRules,
): Verdict {
  const references = event[key]
  if (!Array.isArray(references)) return reject(`${key} is not a list`)
  if (references.length > limit) return reject(`${key} has ${references.length} entries, more than ${limit}`)
  for (const reference of references as readonly Json[]) {
    if (!isReference(reference, rules)) return reject(`${key} has an entry that is no reference to an event`)
  }
  return allow
}

/** Before version 3 a reference is a pair of ID and hashes; the hashes there are not relied upon by anyone. */
function isReference(reference: Json, rules: RoomVersionRules): boolean {
  if (rules.eventIds !== 'inEvent') return isEventIdOf(reference, rules)
  if (!Array.isArray(reference) || reference.length !== 2) return false
  const [id, hashes] = reference as readonly Json[]
  return isEventIdOf(id, rules) && isJsonObject(hashes)
}

function checkHashes({ hashes }: JsonObject): Verdict {
  if (!isJsonObject(hashes)) return reject('hashes is not an object')
  return typeof hashes.sha256 === 'string' ? allow : reject('hashes has no sha256')
}

function checkSignaturesShape({ signatures }: JsonObject): Verdict {
  if (!isJsonObject(signatures)) return reject('signatures is not an object')
  for (const ofServer of Object.values(signatures)) {
    if (!isJsonObject(ofServer)) return reject('signatures has an entry that is not an object')
    for (const signature of Object.values(ofServer)) {
      if (typeof signature !== 'string') return reject('signatures has a signature that is not a string')
    }
  }
  return allow
}

function checkRedacts(event: JsonObject, rules: RoomVersionRules): Verdict {
  if (rules.redactionV11 || event.type !== 'm.room.redaction' || !Object.hasOwn(event, 'redacts')) return allow
  return typeof event.redacts === 'string' ? allow : reject('redacts is not a string')
}

function checkUnsigned(event: JsonObject): Verdict {
  return !Object.hasOwn(event, 'unsigned') || isJsonObject(event.unsigned) ? allow : reject('unsigned is not an object')
}
