import { CanonicalJsonError } from '../../protocol/canonical-json.ts'
import { parsePdu } from '../../protocol/event-format.ts'
import { eventIdOf, roomIdOf } from '../../protocol/event-id.ts'
import { signedText } from '../../protocol/hashes.ts'
import type { IdentifiedPdu, Json } from '../../protocol/pdu.ts'
import type { RoomVersionRules } from '../../protocol/room-versions.ts'

export type Parsed =
  /** `text` is what signatures are taken over. */
  | { readonly ok: true; readonly event: IdentifiedPdu; readonly text: string }
  | { readonly ok: false; readonly why: string }

/**
 * Step 1: the event by the format of its room's version, with its ID.
 * @param json read by `parseJson`, so that no number has changed
 */
export function parseReceived(json: Json, roomId: string, rules: RoomVersionRules): Parsed {
  const parsed = parsePdu(json, rules)
  if (!parsed.ok) return parsed
  try {
    const text = signedText(parsed.pdu, rules)
    const event = { eventId: eventIdOf(parsed.pdu, rules, text), pdu: parsed.pdu }
    if (roomIdOf(event, rules) !== roomId) return { ok: false, why: 'room_id is that of another room' }
    return { ok: true, event, text }
  } catch (error) {
    if (error instanceof CanonicalJsonError) return { ok: false, why: error.message }
    throw error
  }
}
