/** Content and reference hashes of events. Spec: server-server-api §Signing Events. */
import { hash } from 'node:crypto'
import { decodeBase64 } from './base64.ts'
import { canonicalJsonWithout } from './canonical-json.ts'
import type { JsonObject, Pdu } from './pdu.ts'
import { redact } from './redaction.ts'
import type { RoomVersionRules } from './room-versions.ts'

const NOT_HASHED: ReadonlySet<string> = new Set(['unsigned', 'signatures', 'hashes'])
const NOT_SIGNED: ReadonlySet<string> = new Set(['unsigned', 'signatures'])

/** SHA-256 of the text's UTF-8 in standard unpadded Base64: 43 characters. */
export function sha256Base64(text: string): string {
  return hash('sha256', text, 'base64').slice(0, 43)
}

/** SHA-256 of the text's UTF-8 in URL-safe unpadded Base64: 43 characters. */
export function sha256Base64Url(text: string): string {
  return hash('sha256', text, 'base64url')
}

/**
 * The content hash, which covers the whole event but `unsigned`, `signatures` and `hashes`.
 * Spec: server-server-api §Calculating the content hash for an event.
 *
 * @returns unpadded Base64, as it stands in `hashes.sha256`
 * @throws CanonicalJsonError if the event has no canonical form in its room version
 */
export function contentHash(event: Pdu | JsonObject, rules: RoomVersionRules): string {
  return sha256Base64(canonicalJsonWithout(event as JsonObject, NOT_HASHED, rules.strictCanonicalJson))
}

/**
 * Whether the event's content hash is the one that it claims. If not, what we were sent is to be treated as redacted.
 * Spec: server-server-api §Validating hashes and signatures on received events.
 *
 * @throws CanonicalJsonError if the event has no canonical form in its room version
 */
export function contentHashMatches(event: Pdu, rules: RoomVersionRules): boolean {
  const claimed = decodeBase64(event.hashes.sha256)
  const expected = decodeBase64(contentHash(event, rules))
  return claimed !== undefined && expected !== undefined && claimed.equals(expected)
}

/**
 * The text that an event's signatures and its reference hash are taken over: canonical JSON of the redacted event
 * without `signatures` and `unsigned`.
 *
 * @throws CanonicalJsonError if the event has no canonical form in its room version
 */
export function signedText(event: Pdu | JsonObject, rules: RoomVersionRules): string {
  return canonicalJsonWithout(redact(event as JsonObject, rules), NOT_SIGNED, rules.strictCanonicalJson)
}

/**
 * The reference hash, in standard unpadded Base64. Spec: server-server-api §Calculating the reference hash for an event.
 * @throws CanonicalJsonError if the event has no canonical form in its room version
 */
export function referenceHash(event: Pdu | JsonObject, rules: RoomVersionRules): string {
  return sha256Base64(signedText(event, rules))
}
