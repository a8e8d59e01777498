/**
 * What other servers tell of a room to somebody who is invited to it or knocks on it: state events, whole or stripped.
 * Spec: client-server-api §Stripped state; server-server-api §Inviting to a room, §Knocking upon a room.
 */
import { isUserId, utf8ByteLength } from '../../../shared/matrix/identifiers.ts'
import { isJsonObject } from '../../protocol/json.ts'
import type { Json, JsonObject } from '../../protocol/pdu.ts'
import type { RoomVersionRules } from '../../protocol/room-versions.ts'
import { parseReceived } from '../receive/parse.ts'

/** More entries are not looked at. */
const MAX_ENTRIES = 100
/** More bytes of JSON are not kept: clients read all of it in each first sync. */
const MAX_BYTES = 128 * 1024
const MAX_KEY_BYTES = 255

export type Told =
  | { readonly ok: true; readonly strippedState: readonly JsonObject[] }
  | { readonly ok: false; readonly errcode: 'M_MISSING_PARAM' | 'M_INVALID_PARAM'; readonly why: string }

/**
 * Reads what was told and leaves out what makes no sense. From room version 12 on the room's create event must be there, whole,
 * and be that of the room that is meant; other entries may be stripped, as servers in use have them.
 */
export function readTold(told: readonly Json[], roomId: string, rules: RoomVersionRules): Told {
  const strippedState: JsonObject[] = []
  let bytes = 0
  let hasCreate = false
  for (const entry of told.slice(0, MAX_ENTRIES)) {
    const stripped = strip(entry)
    if (!stripped) continue
    const isCreate = stripped.type === 'm.room.create' && stripped.state_key === ''
    const mustBeWhole = rules.roomIdIsCreateHash && (isCreate || isWhole(entry))
    if (mustBeWhole && !isOfRoom(entry, roomId, rules)) {
      return { ok: false, errcode: 'M_INVALID_PARAM', why: `${String(stripped.type)} is not an event of that room` }
    }
    hasCreate ||= isCreate
    bytes += Buffer.byteLength(JSON.stringify(stripped))
    if (bytes > MAX_BYTES) break
    strippedState.push(stripped)
  }
  if (rules.roomIdIsCreateHash && !hasCreate) {
    return { ok: false, errcode: 'M_MISSING_PARAM', why: 'm.room.create is missing' }
  }
  return { ok: true, strippedState }
}

const isWhole = (entry: Json): boolean => isJsonObject(entry) && Object.hasOwn(entry, 'signatures')

/** For a create event: its hash is the room's ID, so that nobody could have made it up. */
function isOfRoom(entry: Json, roomId: string, rules: RoomVersionRules): boolean {
  return parseReceived(entry, roomId, rules).ok
}

function strip(entry: Json): JsonObject | undefined {
  if (!isJsonObject(entry)) return undefined
  const { type, state_key: stateKey, sender, content } = entry
  if (typeof type !== 'string' || typeof stateKey !== 'string' || typeof sender !== 'string') return undefined
  if (!isJsonObject(content) || !isUserId(sender)) return undefined
  if (utf8ByteLength(type) > MAX_KEY_BYTES || utf8ByteLength(stateKey) > MAX_KEY_BYTES) return undefined
  return { type, state_key: stateKey, sender, content }
}
