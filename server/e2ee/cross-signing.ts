import { badJson, forbidden, invalidParam, MatrixError } from '../../shared/matrix/errors.ts'
import { canonicalJsonWithout } from '../protocol/canonical-json.ts'
import { isJsonObject, ownValue } from '../protocol/json.ts'
import type { JsonObject } from '../protocol/pdu.ts'
import { checkTextSignatures } from '../protocol/signing.ts'
import { put, remove, type Store } from '../store/index.ts'
import type { ChangedPart, DeviceLists } from './device-list.ts'
import {
  type CrossSigningKeyRow,
  crossSigningKeyRows,
  type DeviceKeysRow,
  deviceKeysRows,
  keySignatureRows,
  rowKey,
  type Usage,
} from './store.ts'

const NOT_COMPARED: ReadonlySet<string> = new Set(['signatures', 'unsigned'])
const USAGES: readonly Usage[] = ['master', 'self_signing', 'user_signing']

export interface CrossSigningUpload {
  readonly master_key?: JsonObject | undefined
  readonly self_signing_key?: JsonObject | undefined
  readonly user_signing_key?: JsonObject | undefined
}

/** A user's master key; of a user of another server as that server has it now. */
export type FindMaster = (userId: string) => Promise<Pick<CrossSigningKeyRow, 'publicKey' | 'json'> | undefined>

/** A user's three cross-signing keys. Spec: client-server-api §Cross-signing. */
export class CrossSigning {
  readonly #store: Store
  readonly #lists: DeviceLists
  readonly #findMaster: FindMaster

  constructor(store: Store, lists: DeviceLists, findMaster: FindMaster) {
    this.#store = store
    this.#lists = lists
    this.#findMaster = findMaster
  }

  async keysOf(userId: string): Promise<ReadonlyMap<Usage, CrossSigningKeyRow>> {
    const rows = await this.#store.home.range(crossSigningKeyRows, {
      index: 'userId',
      from: userId,
      to: `${userId}\u0000`,
    })
    return new Map(rows.map((row) => [row.usage, row]))
  }

  /** Whether one of the user's cross-signing keys is called this: a new device must not be. */
  readonly isKeyOf = async (userId: string, id: string): Promise<boolean> =>
    [...(await this.keysOf(userId)).values()].some((row) => row.publicKey === id)

  /** Whether this upload would change keys that are there, and so must be authenticated anew (UIA). */
  async needsAuthentication(userId: string, upload: CrossSigningUpload): Promise<boolean> {
    const existing = await this.keysOf(userId)
    if (!existing.has('master')) return false
    return keysIn(upload).some(([usage, key]) => existing.get(usage)?.publicKey !== publicKeyOf(key))
  }

  /**
   * Stores the keys, all or none.
   * @throws MatrixError 400 M_INVALID_PARAM, M_INVALID_SIGNATURE or M_MISSING_PARAM; 403 M_FORBIDDEN where a key equals a device ID
   */
  async upload(userId: string, upload: CrossSigningUpload): Promise<void> {
    await this.#store.exclusive(`cross-signing ${userId}`, async () => {
      const existing = await this.keysOf(userId)
      const offered = keysIn(upload)
      const rows: CrossSigningKeyRow[] = []
      for (const [usage, key] of offered) {
        const publicKey = checkShape(userId, usage, key)
        if (await this.#store.home.get(deviceKeysRows, rowKey(userId, publicKey))) {
          throw forbidden('A cross-signing key must not be the ID of a device')
        }
        if (existing.get(usage)?.publicKey === publicKey) continue
        rows.push({ id: rowKey(userId, usage), userId, usage, publicKey, json: JSON.stringify(key) })
      }
      const master = upload.master_key ? publicKeyOf(upload.master_key) : existing.get('master')?.publicKey
      if (master === undefined) throw new MatrixError('M_MISSING_PARAM', 400, 'No master signing key is available')
      for (const [usage, key] of offered) {
        if (usage === 'master') continue
        if (!isSignedBy(key, userId, (keyId) => (keyId === `ed25519:${master}` ? master : undefined))) {
          throw invalidSignature(`The ${usage} key is not signed by the master key`)
        }
      }
      if (rows.length === 0) return
      const position = await this.#store.commit((at) => [
        ...rows.map((row) => put(crossSigningKeyRows, row)),
        ...this.#lists.changed(userId, at, rows.some(({ usage }) => usage !== 'user_signing') ? [null] : []),
      ])
      this.#lists.announce(userId, position)
    })
  }

  /**
   * Adds signatures to keys of the signer's own or of others; each for itself.
   * @returns failures by user and key ID
   */
  async addSignatures(
    signer: string,
    signed: ReadonlyMap<string, ReadonlyMap<string, JsonObject>>,
  ): Promise<ReadonlyMap<string, ReadonlyMap<string, MatrixError>>> {
    const failures = new Map<string, Map<string, MatrixError>>()
    for (const [owner, byKeyId] of signed) {
      const accepted: { keyId: string; signingKeyId: string; signature: string }[] = []
      for (const [keyId, object] of byKeyId) {
        const outcome =
          owner === signer
            ? await this.#ownSignatures(signer, keyId, object)
            : await this.#signaturesOfAnother(signer, owner, keyId, object)
        if (outcome instanceof MatrixError) {
          const ofOwner = failures.get(owner) ?? new Map<string, MatrixError>()
          failures.set(owner, ofOwner.set(keyId, outcome))
        } else accepted.push(...outcome.map((signature) => ({ keyId, ...signature })))
      }
      if (accepted.length === 0) continue
      const parts =
        owner === signer ? await this.#partsNamed(owner, new Set(accepted.map(({ keyId }) => keyId))) : undefined
      const position = await this.#store.commit((at) => [
        ...accepted.map(({ keyId, signingKeyId, signature }) =>
          put(keySignatureRows, {
            id: rowKey(signer, owner, keyId, signingKeyId),
            pair: rowKey(signer, owner),
            targetKeyId: keyId,
            signingKeyId,
            signature,
          }),
        ),
        ...(parts ? this.#lists.changed(owner, at, parts) : [this.#lists.signed(signer, owner, at)]),
      ])
      // Of a signature on another's key only the signer's own devices hear.
      this.#lists.announce(signer, position)
    }
    return failures
  }

  /** Signatures that `signer` added to keys of `owner`, by key ID. */
  async signaturesOn(signer: string, owner: string): Promise<ReadonlyMap<string, ReadonlyMap<string, string>>> {
    const pair = rowKey(signer, owner)
    const rows = await this.#store.home.range(keySignatureRows, { index: 'pair', from: pair, to: `${pair}\u0000` })
    const byKey = new Map<string, Map<string, string>>()
    for (const row of rows) {
      const ofKey = byKey.get(row.targetKeyId) ?? new Map<string, string>()
      byKey.set(row.targetKeyId, ofKey.set(row.signingKeyId, row.signature))
    }
    return byKey
  }

  /** Another user's keys with the signature that the asker put on the master key. */
  async signedBy<K extends { readonly master?: JsonObject }>(asker: string, owner: string, keys: K): Promise<K> {
    const { master } = keys
    const publicKey = master && publicKeyOf(master)
    if (!master || publicKey === undefined) return keys
    return { ...keys, master: withSignatures(master, asker, (await this.signaturesOn(asker, owner)).get(publicKey)) }
  }

  /** What removes the signatures on a device's keys with the device. */
  async removalOf(userId: string, deviceId: string): Promise<readonly ReturnType<typeof remove>[]> {
    const pair = rowKey(userId, userId)
    const rows = await this.#store.home.range(keySignatureRows, { index: 'pair', from: pair, to: `${pair}\u0000` })
    return rows.filter((row) => row.targetKeyId === deviceId).map((row) => remove(keySignatureRows, row.id))
  }

  /** Which of the keys are devices; the master key stands for the cross-signing keys. */
  async #partsNamed(userId: string, keyIds: ReadonlySet<string>): Promise<readonly ChangedPart[]> {
    const master = (await this.keysOf(userId)).get('master')?.publicKey
    return [...keyIds].map((keyId) => (keyId === master ? null : keyId))
  }

  /** A device's keys signed by the self-signing key, or the master key signed by devices. */
  async #ownSignatures(signer: string, keyId: string, object: JsonObject): Promise<NewSignatures | MatrixError> {
    const keys = await this.keysOf(signer)
    const device = await this.#store.home.get(deviceKeysRows, rowKey(signer, keyId))
    if (device) {
      const selfSigning = keys.get('self_signing')
      if (!selfSigning) return failure('M_NOT_FOUND', 'There is no self-signing key')
      if (!isSameBut(object, device)) return failure('M_INVALID_PARAM', 'The device keys differ from those uploaded')
      return verifiedSignatures(signer, object, (signingKeyId) =>
        signingKeyId === `ed25519:${selfSigning.publicKey}` ? selfSigning.publicKey : undefined,
      )
    }
    const master = keys.get('master')
    if (master?.publicKey !== keyId) return failure('M_NOT_FOUND', 'There is no such key')
    if (!isSameBut(object, master)) return failure('M_INVALID_PARAM', 'The master key differs from the one uploaded')
    const devices = await this.#store.home.range(deviceKeysRows, {
      index: 'userId',
      from: signer,
      to: `${signer}\u0000`,
    })
    const publicKeys = new Map(devices.map((row) => [`ed25519:${row.deviceId}`, ed25519Of(row)]))
    return verifiedSignatures(signer, object, (signingKeyId) => publicKeys.get(signingKeyId))
  }

  /** Another user's master key signed by the signer's user-signing key. */
  async #signaturesOfAnother(
    signer: string,
    owner: string,
    keyId: string,
    object: JsonObject,
  ): Promise<NewSignatures | MatrixError> {
    const userSigning = (await this.keysOf(signer)).get('user_signing')
    if (!userSigning) return failure('M_NOT_FOUND', 'There is no user-signing key')
    const master = await this.#findMaster(owner)
    if (master?.publicKey !== keyId) return failure('M_NOT_FOUND', 'That user has no such master key')
    if (!isSameBut(object, master)) return failure('M_INVALID_PARAM', 'The master key differs from the one uploaded')
    return verifiedSignatures(signer, object, (signingKeyId) =>
      signingKeyId === `ed25519:${userSigning.publicKey}` ? userSigning.publicKey : undefined,
    )
  }
}

type NewSignatures = readonly { readonly signingKeyId: string; readonly signature: string }[]

const failure = (errcode: string, message: string): MatrixError => new MatrixError(errcode, 400, message)
const invalidSignature = (message: string): MatrixError => failure('M_INVALID_SIGNATURE', message)

/** Did the user sign the object with one of the keys, and with none of them wrongly? */
export function isSignedBy(object: JsonObject, userId: string, keyOf: (keyId: string) => string | undefined): boolean {
  const text = canonicalJsonWithout(object, NOT_COMPARED, false)
  return checkTextSignatures({ text, signatures: object.signatures, entity: userId, keyOf }).ok
}

/** The signer's signatures on the object by keys that may sign it, if each of them holds. */
function verifiedSignatures(
  signer: string,
  object: JsonObject,
  publicKeyById: (signingKeyId: string) => string | undefined,
): NewSignatures | MatrixError {
  const signatures = isJsonObject(object.signatures) ? ownValue(object.signatures, signer) : undefined
  if (!isJsonObject(signatures)) return invalidSignature('There is no signature of yours')
  const found: { signingKeyId: string; signature: string }[] = []
  for (const [signingKeyId, signature] of Object.entries(signatures)) {
    // A device's own signature comes along with its keys: it is neither new nor ours to judge.
    if (publicKeyById(signingKeyId) === undefined) continue
    const alone = { ...object, signatures: { [signer]: { [signingKeyId]: signature } } }
    if (typeof signature !== 'string' || !isSignedBy(alone, signer, publicKeyById)) {
      return invalidSignature('A signature does not verify')
    }
    found.push({ signingKeyId, signature })
  }
  return found.length > 0 ? found : invalidSignature('There is no signature by a key that may sign this')
}

/** Is the object the stored one but for its signatures? */
function isSameBut(object: JsonObject, stored: { readonly json: string }): boolean {
  return comparable(object) === comparable(JSON.parse(stored.json))
}

function comparable(object: JsonObject): string {
  return canonicalJsonWithout(object, NOT_COMPARED, false)
}

function keysIn(upload: CrossSigningUpload): readonly (readonly [Usage, JsonObject])[] {
  const keys = [upload.master_key, upload.self_signing_key, upload.user_signing_key]
  return USAGES.flatMap((usage, i) => {
    const key = keys[i]
    return key ? [[usage, key] as const] : []
  })
}

function publicKeyOf(key: JsonObject): string | undefined {
  const [value] = isJsonObject(key.keys) ? Object.values(key.keys) : []
  return typeof value === 'string' ? value : undefined
}

/**
 * Whether a key is what it should be: of that user, for that usage, and named by itself.
 * @returns the public key, unpadded base64
 * @throws MatrixError 400
 */
export function checkShape(userId: string, usage: Usage, key: JsonObject): string {
  if (key.user_id !== userId) throw invalidParam(`The ${usage} key names another user`)
  if (!Array.isArray(key.usage) || !key.usage.includes(usage)) {
    throw invalidParam(`\`usage\` of the ${usage} key does not name it`)
  }
  if (!isJsonObject(key.keys)) throw badJson('`keys` is missing')
  const entries = Object.entries(key.keys)
  const [entry] = entries
  if (!entry || entries.length !== 1) throw invalidParam(`The ${usage} key must hold exactly one key`)
  const [keyId, publicKey] = entry
  if (typeof publicKey !== 'string' || keyId !== `ed25519:${publicKey}` || !/^[A-Za-z0-9+/]{43}$/.test(publicKey)) {
    throw invalidParam(`The ${usage} key is not named by its own Ed25519 public key`)
  }
  return publicKey
}

function ed25519Of(row: DeviceKeysRow): string {
  const keys: unknown = JSON.parse(row.json).keys
  const key = isJsonObject(keys) ? ownValue(keys, `ed25519:${row.deviceId}`) : undefined
  return typeof key === 'string' ? key : ''
}

/** A key with signatures that were put on it later. */
export function withSignatures(
  key: JsonObject,
  signer: string,
  added: ReadonlyMap<string, string> | undefined,
): JsonObject {
  if (!added) return key
  const signatures = isJsonObject(key.signatures) ? key.signatures : {}
  const ofSigner = ownValue(signatures, signer)
  return {
    ...key,
    signatures: {
      ...signatures,
      [signer]: { ...(isJsonObject(ofSigner) ? ofSigner : {}), ...Object.fromEntries(added) },
    },
  }
}
