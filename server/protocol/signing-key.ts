/**
 * Ed25519 keys: our server's signing key, and the public keys of others. Spec: appendices §Signing Details;
 * server-server-api §Retrieving server keys.
 */
import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto'
import { decodeBase64, encodeBase64 } from './base64.ts'

/** A key to sign with. It can be logged without giving the secret away: that is inside of the `KeyObject` only. */
export interface SigningKey {
  /** `ed25519:` and a name of `A-Z`, `a-z`, `0-9` and `_`. */
  readonly keyId: string
  readonly privateKey: KeyObject
  /** The public key in unpadded Base64, as `verify_keys` publishes it. */
  readonly publicKey: string
}

const SEED_BYTES = 32
const KEY_NAME = /^[0-9A-Za-z_]{1,247}$/
/** What stands before the seed in the DER of an Ed25519 private key. RFC 8410 section 7. */
const PKCS8_HEAD = Buffer.from('302e020100300506032b657004220420', 'hex')
/** What stands before the 32 bytes of an Ed25519 public key in its DER. RFC 8410 section 4. */
const SPKI_HEAD = Buffer.from('302a300506032b6570032100', 'hex')

/**
 * Makes a signing key.
 * @param seed 32 secret random bytes, from the caller
 * @param name the part of the key ID behind `ed25519:`
 * @throws RangeError for a seed of another length, or a name that is not of `A-Z`, `a-z`, `0-9` and `_`
 */
export function makeSigningKey(seed: Uint8Array, name: string): SigningKey {
  if (seed.length !== SEED_BYTES) throw new RangeError(`a signing key's seed has ${SEED_BYTES} bytes`)
  if (!KEY_NAME.test(name)) throw new RangeError('a signing key has a name of A-Z, a-z, 0-9 and _')
  const privateKey = createPrivateKey({ key: Buffer.concat([PKCS8_HEAD, seed]), format: 'der', type: 'pkcs8' })
  const spki = createPublicKey(privateKey).export({ format: 'der', type: 'spki' })
  return { keyId: `ed25519:${name}`, privateKey, publicKey: encodeBase64(spki.subarray(SPKI_HEAD.length)) }
}

/**
 * One line to keep a signing key in a file: `ed25519 <name> <seed in unpadded Base64>`, the format of other homeservers.
 * The line is a secret.
 */
export function encodeSigningKey(key: SigningKey): string {
  const der = key.privateKey.export({ format: 'der', type: 'pkcs8' })
  return `ed25519 ${key.keyId.slice('ed25519:'.length)} ${encodeBase64(der.subarray(PKCS8_HEAD.length))}`
}

/**
 * Reads a line of `encodeSigningKey`.
 * @throws Error that does not quote the line
 */
export function decodeSigningKey(line: string): SigningKey {
  const [algorithm, name, seedText, ...rest] = line.trim().split(/\s+/)
  const seed = seedText === undefined ? undefined : decodeBase64(seedText)
  if (algorithm !== 'ed25519' || name === undefined || seed?.length !== SEED_BYTES || rest.length > 0) {
    throw new Error('not a line of "ed25519", a key name and a 32-byte seed in Base64')
  }
  return makeSigningKey(seed, name)
}

/** How many parsed public keys are kept; about 1 KiB each. */
const MAX_CACHED_KEYS = 4_096
const cachedKeys = new Map<string, KeyObject>()

/**
 * The key object of a public Ed25519 key. Parsing one costs as much as a tenth of a signature check, so they are kept.
 * @param publicKey 32 bytes in Base64
 * @returns `undefined` for what is not 32 bytes of Base64
 */
export function findPublicKey(publicKey: string): KeyObject | undefined {
  const cached = cachedKeys.get(publicKey)
  if (cached) return cached
  const bytes = decodeBase64(publicKey)
  if (bytes?.length !== SEED_BYTES) return undefined
  const key = createPublicKey({ key: Buffer.concat([SPKI_HEAD, bytes]), format: 'der', type: 'spki' })
  if (cachedKeys.size >= MAX_CACHED_KEYS) {
    // The one that was put in first: keys of busy servers come back at once.
    for (const oldest of cachedKeys.keys()) {
      cachedKeys.delete(oldest)
      break
    }
  }
  cachedKeys.set(publicKey, key)
  return key
}
