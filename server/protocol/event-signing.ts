/**
 * Signing and checking events. Spec: server-server-api §Signing Events; rooms/v5 §Signing key validity period;
 * rooms/v8 §Authorisation rules, 4.2.
 */
import { serverNameOf } from '../../shared/matrix/identifiers.ts'
import { CanonicalJsonError, checkCanonicalJson } from './canonical-json.ts'
import { eventIdOf } from './event-id.ts'
import { contentHash, signedText } from './hashes.ts'
import { ownValue } from './json.ts'
import { allow, type IdentifiedPdu, type JsonObject, type Pdu, reject, type Verdict } from './pdu.ts'
import type { RoomVersionRules } from './room-versions.ts'
import { addSignature, checkTextSignatures, isTextSigned, listSigningKeyIds, signText } from './signing.ts'
import type { SigningKey } from './signing-key.ts'

/** An event as its server builds it; in room versions 1 and 2 with the `event_id` that the server chose. */
export type EventDraft = Omit<Pdu, 'hashes' | 'signatures'>

/**
 * The deepest nesting of events that we make, the event itself being one level. Synapse and the servers and clients built on
 * Rust's serde drop events of more than 127 levels; the rest is room for what they are wrapped in.
 */
export const MAX_OWN_EVENT_DEPTH = 100

/**
 * Completes an event of our own: content hash, our signature, event ID.
 * @throws CanonicalJsonError if the draft has no canonical form or is nested deeper than `MAX_OWN_EVENT_DEPTH` (answer clients
 * with 400 `M_BAD_JSON`)
 */
export function finishEvent(finish: {
  readonly draft: EventDraft
  readonly rules: RoomVersionRules
  readonly serverName: string
  readonly key: SigningKey
}): IdentifiedPdu {
  const { draft, rules, serverName, key } = finish
  const json = checkCanonicalJson(draft as unknown as JsonObject, rules.strictCanonicalJson, MAX_OWN_EVENT_DEPTH)
  if (!json.ok) throw new CanonicalJsonError(json.why)
  const hashed: Pdu = {
    ...draft,
    hashes: { sha256: contentHash(draft as unknown as JsonObject, rules) },
    signatures: {},
  }
  // Signature and event ID are over the same text.
  const text = signedText(hashed, rules)
  const pdu = { ...hashed, signatures: addSignature(undefined, serverName, key.keyId, signText(text, key)) }
  return { eventId: eventIdOf(pdu, rules, text), pdu }
}

/**
 * A copy of an event of another server with our signature added, as for invites and restricted joins. Its ID stays the same.
 * @throws CanonicalJsonError if the event has no canonical form in its room version
 */
export function cosignEvent(cosign: {
  readonly pdu: Pdu
  readonly rules: RoomVersionRules
  readonly serverName: string
  readonly key: SigningKey
}): Pdu {
  const { pdu, rules, serverName, key } = cosign
  const signature = signText(signedText(pdu, rules), key)
  return { ...pdu, signatures: addSignature(pdu.signatures, serverName, key.keyId, signature) }
}

/**
 * The servers whose signature an event must bear, without repetition:
 * - the sender's, but not for an invite by third-party ID, which another server may send;
 * - in room versions 1 and 2 the one in the event's ID;
 * - from version 8 on, for memberships, the one of the user who authorised a restricted join.
 *
 * An empty name stands for a server that cannot be told, so that no signature will ever do.
 */
export function listRequiredSigners(pdu: Pdu, rules: RoomVersionRules): readonly string[] {
  const signers = new Set<string>()
  if (!isThirdPartyInvite(pdu)) signers.add(serverNameOf(pdu.sender))
  if (rules.eventIds === 'inEvent') signers.add(serverNameOf(pdu.event_id ?? ''))
  if (rules.restrictedJoins && pdu.type === 'm.room.member') {
    const authoriser = ownValue(pdu.content, 'join_authorised_via_users_server')
    if (authoriser !== undefined) signers.add(typeof authoriser === 'string' ? serverNameOf(authoriser) : '')
  }
  return [...signers]
}

function isThirdPartyInvite({ type, content }: Pdu): boolean {
  return (
    type === 'm.room.member' &&
    ownValue(content, 'membership') === 'invite' &&
    Object.hasOwn(content, 'third_party_invite')
  )
}

/** The keys to have at hand before `checkEventSignatures`: required signers, and the key IDs that the event names for them. */
export function listRequiredKeys(
  pdu: Pdu,
  rules: RoomVersionRules,
): readonly { readonly serverName: string; readonly keyIds: readonly string[] }[] {
  return listRequiredSigners(pdu, rules).map((serverName) => ({
    serverName,
    keyIds: listSigningKeyIds(pdu.signatures, serverName),
  }))
}

/** A server's public key, as far as it is known for how long it is good. Times are in ms since the epoch. */
export interface VerifyKey {
  /** 32 bytes in unpadded Base64. */
  readonly publicKey: string
  /** The server's `valid_until_ts`, but never more than 7 days after we fetched it: see `keyValidUntil`. */
  readonly validUntilTs: number
  /** Set for a key in `old_verify_keys`: when it stopped being used. */
  readonly expiredTs?: number
}

/** Finds a key in what was fetched beforehand. */
export type KeyLookup = (serverName: string, keyId: string) => VerifyKey | undefined

const MAX_VALIDITY_MS = 7 * 24 * 60 * 60 * 1_000

/** Until when a published key counts as valid. Spec: rooms/v5 §Signing key validity period. */
export function keyValidUntil(publishedValidUntilTs: number, fetchedTs: number): number {
  return Math.min(publishedValidUntilTs, fetchedTs + MAX_VALIDITY_MS)
}

/**
 * Whether a key may vouch for an event: not one that had expired when the event was made, and from room version 5 on only
 * one that was valid then.
 */
export function isKeyValidFor(key: VerifyKey, originServerTs: number, rules: RoomVersionRules): boolean {
  if (key.expiredTs !== undefined) return originServerTs <= key.expiredTs
  return !rules.strictKeyValidity || originServerTs <= key.validUntilTs
}

/**
 * Whether all servers that must have signed an event did so. Signatures under unknown or expired keys are passed over, wrong
 * ones under known keys are not. Spec: server-server-api §Validating hashes and signatures on received events.
 *
 * @param check.text the event's `signedText`, where the caller has it already
 */
export function checkEventSignatures(check: {
  readonly pdu: Pdu
  readonly rules: RoomVersionRules
  readonly keyOf: KeyLookup
  readonly text?: string
}): Verdict {
  const { pdu, rules } = check
  let text: string
  try {
    text = check.text ?? signedText(pdu, rules)
  } catch (error) {
    if (error instanceof CanonicalJsonError) return reject(error.message)
    throw error
  }
  for (const serverName of listRequiredSigners(pdu, rules)) {
    if (serverName === '') return reject('a server that must sign cannot be told')
    const verdict = checkTextSignatures({
      text,
      signatures: pdu.signatures,
      entity: serverName,
      keyOf: (keyId) => {
        const key = check.keyOf(serverName, keyId)
        return key && isKeyValidFor(key, pdu.origin_server_ts, rules) ? key.publicKey : undefined
      },
    })
    if (!verdict.ok) return verdict
  }
  return allow
}

/**
 * Whether an event bears a good signature of one server under one key, as policy servers give it.
 * Spec: server-server-api §Validating Policy Server signatures.
 */
export function isEventSignedWith(check: {
  readonly pdu: Pdu
  readonly rules: RoomVersionRules
  readonly serverName: string
  readonly keyId: string
  readonly publicKey: string
}): boolean {
  const { pdu, rules, serverName, keyId, publicKey } = check
  const signature = ownValue(ownValue(pdu.signatures, serverName) ?? {}, keyId)
  if (signature === undefined) return false
  try {
    return isTextSigned(signedText(pdu, rules), signature, publicKey)
  } catch (error) {
    if (error instanceof CanonicalJsonError) return false
    throw error
  }
}
