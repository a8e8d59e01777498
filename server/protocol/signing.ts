/**
 * Signing and checking JSON. Spec: appendices §Signing JSON. For events see `event-signing.ts`.
 */
import { sign, verify } from 'node:crypto'
import { decodeBase64, encodeBase64 } from './base64.ts'
import { CanonicalJsonError, canonicalJsonWithout } from './canonical-json.ts'
import { isJsonObject, ownValue } from './json.ts'
import { allow, type Json, type JsonObject, reject, type Verdict } from './pdu.ts'
import { findPublicKey, type SigningKey } from './signing-key.ts'

/** What `signatures` holds: by entity, by key ID. */
export type Signatures = { readonly [entity: string]: { readonly [keyId: string]: string } }

const NOT_SIGNED: ReadonlySet<string> = new Set(['signatures', 'unsigned'])
const SIGNATURE_BYTES = 64

/**
 * The signature of a text's UTF-8, in unpadded Base64: 86 characters.
 */
export function signText(text: string, key: SigningKey): string {
  return encodeBase64(sign(null, Buffer.from(text, 'utf8'), key.privateKey))
}

/**
 * Whether a signature of a text's UTF-8 is good. False, too, where signature or key are malformed.
 * @param signature unpadded Base64 of 64 bytes
 * @param publicKey unpadded Base64 of 32 bytes
 */
export function isTextSigned(text: string, signature: string, publicKey: string): boolean {
  const key = findPublicKey(publicKey)
  // Longer text cannot be 64 bytes; do not decode what others made huge.
  if (!key || signature.length > 88) return false
  const bytes = decodeBase64(signature)
  return bytes?.length === SIGNATURE_BYTES && verify(null, Buffer.from(text, 'utf8'), key, bytes)
}

/**
 * A copy of the object with our signature added to those that it has. `unsigned` stays and is not signed.
 * @param entity whose signature it is: a server name, or a user ID
 * @throws CanonicalJsonError if the object has no canonical form
 */
export function signJson<T extends JsonObject>(
  object: T,
  entity: string,
  key: SigningKey,
): Omit<T, 'signatures'> & { readonly signatures: Signatures } {
  const signature = signText(canonicalJsonWithout(object, NOT_SIGNED), key)
  return { ...object, signatures: addSignature(object.signatures, entity, key.keyId, signature) }
}

/** A copy of a `signatures` object with one more signature in it. What was no object counts as empty. */
export function addSignature(
  signatures: Json | undefined,
  entity: string,
  keyId: string,
  signature: string,
): Signatures {
  const existing = isJsonObject(signatures) ? signatures : {}
  const ofEntity = ownValue(existing, entity)
  // Computed keys make own properties even of `__proto__`.
  return {
    ...existing,
    [entity]: { ...(isJsonObject(ofEntity) ? ofEntity : {}), [keyId]: signature },
  } as Signatures
}

/**
 * Key IDs of the algorithms that we understand, under which the entity signed the object, in the object's order.
 * @param limit the most to list: who wants to keep us busy may claim thousands
 */
export function listSigningKeyIds(signatures: Json | undefined, entity: string, limit = 16): readonly string[] {
  const ofEntity = isJsonObject(signatures) ? ownValue(signatures, entity) : undefined
  if (!isJsonObject(ofEntity)) return []
  return Object.keys(ofEntity)
    .filter((keyId) => keyId.startsWith('ed25519:'))
    .slice(0, limit)
}

/** What to check a signature with; `keyOf` gives public keys in unpadded Base64. */
export interface SignatureCheck {
  readonly object: JsonObject
  /** Whose signature is asked for. */
  readonly entity: string
  /** The entity's public key of that ID, if it is known and valid for this object. */
  readonly keyOf: (keyId: string) => string | undefined
}

/**
 * Whether an entity signed an object: under at least one known key, and wrongly under none.
 * Spec: appendices §Checking for a Signature.
 */
export function checkJsonSignature({ object, entity, keyOf }: SignatureCheck): Verdict {
  let text: string
  try {
    text = canonicalJsonWithout(object, NOT_SIGNED, false)
  } catch (error) {
    if (error instanceof CanonicalJsonError) return reject(error.message)
    throw error
  }
  return checkTextSignatures({ text, signatures: object.signatures, entity, keyOf })
}

/** As `checkJsonSignature`, for a text that was made already. */
export function checkTextSignatures(check: {
  readonly text: string
  readonly signatures: Json | undefined
  readonly entity: string
  readonly keyOf: (keyId: string) => string | undefined
}): Verdict {
  const { text, signatures, entity, keyOf } = check
  const ofEntity = isJsonObject(signatures) ? ownValue(signatures, entity) : undefined
  const keyIds = listSigningKeyIds(signatures, entity)
  if (!isJsonObject(ofEntity) || keyIds.length === 0) return reject(`there is no signature of ${entity}`)
  let isSigned = false
  for (const keyId of keyIds) {
    const publicKey = keyOf(keyId)
    if (publicKey === undefined) continue
    const signature = ownValue(ofEntity, keyId)
    if (typeof signature !== 'string' || !isTextSigned(text, signature, publicKey)) {
      return reject(`the signature of ${entity} under ${keyId} is wrong`)
    }
    isSigned = true
  }
  return isSigned ? allow : reject(`no signature of ${entity} is under a key that is known and valid`)
}

/** The most signatures that are tried in one `isSignedByAny`; more are only made to keep us busy. */
const MAX_TRIED = 128

/**
 * Whether any signature in the object, whoever claims to have made it, is by one of the public keys.
 * For third-party invites. Spec: rooms/v1 §Authorisation rules, 4.3.1.7.
 *
 * @param publicKeys in unpadded Base64
 */
export function isSignedByAny(object: JsonObject, publicKeys: readonly string[]): boolean {
  if (!isJsonObject(object.signatures)) return false
  let text: string
  try {
    text = canonicalJsonWithout(object, NOT_SIGNED, false)
  } catch (error) {
    if (error instanceof CanonicalJsonError) return false
    throw error
  }
  let tried = 0
  for (const ofEntity of Object.values(object.signatures)) {
    if (!isJsonObject(ofEntity)) continue
    for (const [keyId, signature] of Object.entries(ofEntity)) {
      if (!keyId.startsWith('ed25519:') || typeof signature !== 'string') continue
      for (const publicKey of publicKeys) {
        tried += 1
        if (tried > MAX_TRIED) return false
        if (isTextSigned(text, signature, publicKey)) return true
      }
    }
  }
  return false
}
