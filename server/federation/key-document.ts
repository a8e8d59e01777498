/** Key documents: ours, and what is to be believed of those of others. Spec: server-server-api §Retrieving server keys. */
import { createHash } from 'node:crypto'
import { decodeBase64 } from '../protocol/base64.ts'
import { canonicalJson, checkCanonicalJson } from '../protocol/canonical-json.ts'
import { keyValidUntil, type VerifyKey } from '../protocol/event-signing.ts'
import { isJsonObject, ownValue } from '../protocol/json.ts'
import type { Json, JsonObject } from '../protocol/pdu.ts'
import { checkJsonSignature, isTextSigned, signJson } from '../protocol/signing.ts'
import type { SigningKey } from '../protocol/signing-key.ts'

/** What this server signs with, and signed with before. */
export interface OwnKeys {
  readonly serverName: string
  readonly signingKey: SigningKey
  readonly oldKeys: readonly { readonly keyId: string; readonly publicKey: string; readonly expiredTs: number }[]
  /** The root key, and its signature of `{ key, key_id, server_name }` of the signing key. */
  readonly root: { readonly publicKey: string; readonly signature: string }
}

/**
 * Where a home without a domain proves its name: its root key, of which the name is a hash, and that key's signatures of the
 * signing keys. Not among the document's own signatures: other servers refuse documents signed with keys that they do not list.
 */
const ROOT = 'org.hearth.root'

/** Our document, signed. */
export function ownDocument({ serverName, signingKey, oldKeys, root }: OwnKeys, validUntilTs: number): JsonObject {
  return signJson(
    {
      server_name: serverName,
      verify_keys: { [signingKey.keyId]: { key: signingKey.publicKey } },
      old_verify_keys: Object.fromEntries(
        oldKeys.map(({ keyId, publicKey, expiredTs }) => [keyId, { key: publicKey, expired_ts: expiredTs }]),
      ),
      valid_until_ts: validUntilTs,
      [ROOT]: { key: root.publicKey, signatures: { [signingKey.keyId]: root.signature } },
    },
    serverName,
    signingKey,
  )
}

/** A server's document, checked. */
export interface KeyDocument {
  readonly serverName: string
  readonly json: JsonObject
  readonly keys: ReadonlyMap<string, VerifyKey>
  /** When it is to be fetched anew; never more than 7 days after it was fetched. */
  readonly validUntilTs: number
  readonly fetchedTs: number
}

const MAX_KEYS = 64
const KEY_BYTES = 32
const KEY_ID = /^ed25519:[\w+/=.-]{1,247}$/

/**
 * Checks a document that a server, or a notary, gave for `serverName`: its own keys have signed it, and where the name is a
 * hash of a root key, that key vouches for them.
 * @param fetchedTs when it came from the server itself
 * @returns the document, or a sentence that says what is wrong with it
 */
export function readKeyDocument(value: Json, serverName: string, fetchedTs: number): KeyDocument | string {
  if (!isJsonObject(value)) return 'it is no JSON object'
  const canonical = checkCanonicalJson(value)
  if (!canonical.ok) return canonical.why
  if (value.server_name !== serverName) return 'it is of another server'
  const { valid_until_ts: publishedTs } = value
  if (typeof publishedTs !== 'number' || publishedTs < 0) return 'valid_until_ts is no time'
  const validUntilTs = keyValidUntil(publishedTs, fetchedTs)

  const current = keysOf(value.verify_keys, (publicKey) => ({ publicKey, validUntilTs }))
  const old = keysOf(value.old_verify_keys ?? {}, (publicKey, { expired_ts: expiredTs }) =>
    typeof expiredTs === 'number' ? { publicKey, validUntilTs, expiredTs } : undefined,
  )
  if (!current || !old) return 'its keys are not as they should be'
  if (current.size === 0) return 'it has no key that is known here'
  const signed = checkJsonSignature({ object: value, entity: serverName, keyOf: (id) => current.get(id)?.publicKey })
  if (!signed.ok) return signed.why
  for (const [keyId, { publicKey }] of current) {
    if (isSelfNamed(serverName) && !isProvenByName(value, serverName, keyId, publicKey)) {
      return `the root key of its name does not vouch for ${keyId}`
    }
  }
  return { serverName, json: value, keys: new Map([...old, ...current]), validUntilTs, fetchedTs }
}

/** @returns `undefined` where it is no list of keys, or a very long one; what is in it but cannot be used is left out */
function keysOf(
  keys: Json | undefined,
  read: (publicKey: string, entry: JsonObject) => VerifyKey | undefined,
): ReadonlyMap<string, VerifyKey> | undefined {
  if (!isJsonObject(keys)) return undefined
  const entries = Object.entries(keys)
  if (entries.length > MAX_KEYS) return undefined
  const found = new Map<string, VerifyKey>()
  for (const [keyId, entry] of entries) {
    if (!KEY_ID.test(keyId) || !isJsonObject(entry)) continue
    const { key } = entry
    if (typeof key !== 'string' || decodeBase64(key)?.length !== KEY_BYTES) continue
    const verifyKey = read(key, entry)
    if (verifyKey) found.set(keyId, verifyKey)
  }
  return found
}

const SELF_NAMED = /^[a-z2-7]{32}\.local$/
const BASE32 = 'abcdefghijklmnopqrstuvwxyz234567'

/** Whether a name is a hash of a root key. */
export function isSelfNamed(serverName: string): boolean {
  return SELF_NAMED.test(serverName)
}

function isProvenByName(document: JsonObject, serverName: string, keyId: string, publicKey: string): boolean {
  const root = ownValue(document, ROOT)
  if (!isJsonObject(root) || typeof root.key !== 'string' || selfNameOf(root.key) !== serverName) return false
  const signature = isJsonObject(root.signatures) ? ownValue(root.signatures, keyId) : undefined
  const statement = canonicalJson({ key: publicKey, key_id: keyId, server_name: serverName })
  return typeof signature === 'string' && isTextSigned(statement, signature, root.key)
}

/**
 * The name of a home that has no domain: the first 20 bytes of the SHA-256 of its root key, in base32, under `.local`.
 * @param rootKey the public half, in Base64
 */
export function selfNameOf(rootKey: string): string {
  const hash = createHash('sha256').update(Buffer.from(rootKey, 'base64')).digest().subarray(0, 20)
  let bits = 0n
  for (const byte of hash) bits = (bits << 8n) | BigInt(byte)
  const label = Array.from({ length: 32 }, (_, i) => BASE32[Number((bits >> BigInt(155 - 5 * i)) & 31n)]).join('')
  return `${label}.local`
}
