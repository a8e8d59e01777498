import { checkEventSignatures, type KeyLookup } from '../../protocol/event-signing.ts'
import { contentHashMatches } from '../../protocol/hashes.ts'
import type { IdentifiedPdu, Pdu } from '../../protocol/pdu.ts'
import { redact } from '../../protocol/redaction.ts'
import type { RoomVersionRules } from '../../protocol/room-versions.ts'
import type { RoomsCore } from '../core.ts'

export type Verified =
  | { readonly ok: true; readonly event: IdentifiedPdu }
  | { readonly ok: false; readonly why: string }

/** The keys that events' signatures are checked with, ours among them. @param vouchers see `ServerKeys.keysFor` */
export async function keysOf(
  core: RoomsCore,
  pdus: readonly Pdu[],
  rules: RoomVersionRules,
  vouchers?: readonly string[],
): Promise<KeyLookup> {
  const theirs = pdus.length === 0 ? undefined : await core.peers?.keysFor(pdus, rules, vouchers)
  const { serverName } = core.environment
  return (server, keyId) => {
    if (server !== serverName) return theirs?.(server, keyId)
    const { publicKey } = core.signingKey
    return keyId === core.signingKey.keyId
      ? { publicKey, validUntilTs: Number.MAX_SAFE_INTEGER }
      : theirs?.(server, keyId)
  }
}

/**
 * Steps 2 and 3: the signatures of all servers that must have signed, and the content hash. An event whose content was
 * changed on the way goes on without it.
 *
 * @param text as `parseReceived` gives it
 */
export function verify(keyOf: KeyLookup, event: IdentifiedPdu, text: string, rules: RoomVersionRules): Verified {
  const signed = checkEventSignatures({ pdu: event.pdu, rules, keyOf, text })
  if (!signed.ok) return signed
  if (contentHashMatches(event.pdu, rules)) return { ok: true, event }
  return { ok: true, event: { eventId: event.eventId, pdu: redact(event.pdu, rules) } }
}

/** What is kept of an event: all but what servers tell each other beside it. */
export function keptJson({ pdu }: IdentifiedPdu): string {
  const { unsigned: _, ...kept } = pdu
  return JSON.stringify(kept)
}
