import { checkEventSignatures, type KeyLookup } from '../../protocol/event-signing.ts'
import { contentHashMatches } from '../../protocol/hashes.ts'
import type { IdentifiedPdu } from '../../protocol/pdu.ts'
import { redact } from '../../protocol/redaction.ts'
import type { RoomVersionRules } from '../../protocol/room-versions.ts'
import type { RoomsCore } from '../core.ts'

export type Verified =
  | { readonly ok: true; readonly event: IdentifiedPdu }
  | { readonly ok: false; readonly why: string }

/**
 * Steps 2 and 3: the signatures of all servers that must have signed, and the content hash. An event whose content was
 * changed on the way goes on without it.
 *
 * @param text as `parseReceived` gives it
 */
export async function verify(
  core: RoomsCore,
  event: IdentifiedPdu,
  text: string,
  rules: RoomVersionRules,
): Promise<Verified> {
  const theirs = await core.peers?.keysFor([event.pdu], rules)
  const { serverName } = core.environment
  const keyOf: KeyLookup = (server, keyId) => {
    if (server !== serverName) return theirs?.(server, keyId)
    const { publicKey } = core.signingKey
    return keyId === core.signingKey.keyId
      ? { publicKey, validUntilTs: Number.MAX_SAFE_INTEGER }
      : theirs?.(server, keyId)
  }
  const signed = checkEventSignatures({ pdu: event.pdu, rules, keyOf, text })
  if (!signed.ok) return signed
  if (contentHashMatches(event.pdu, rules)) return { ok: true, event }
  return { ok: true, event: { eventId: event.eventId, pdu: redact(event.pdu, rules) } }
}
