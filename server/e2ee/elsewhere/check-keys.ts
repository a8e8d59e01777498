/** Keys as another server gave them: what is not what it should be is left out. */
import { MatrixError } from '../../../shared/matrix/errors.ts'
import { checkCanonicalJson } from '../../protocol/canonical-json.ts'
import { ExactNumber, isJsonObject } from '../../protocol/json.ts'
import type { Json, JsonObject } from '../../protocol/pdu.ts'
import { checkShape, isSignedBy } from '../cross-signing.ts'

/** More devices of one user are not kept: the largest bots have some hundred. */
export const MAX_DEVICES = 2_000
const MAX_KEY_BYTES = 32 * 1024
const MAX_DEPTH = 16
const MAX_ID_LENGTH = 255
const MAX_NAME_LENGTH = 512

/** One device of another server's user. */
export interface RemoteDevice {
  readonly deviceId: string
  /** JSON without `unsigned`. */
  readonly json: string
  readonly displayName: string | null
}

/** JSON, each `null` where there is none, or a bad one. */
export interface RemoteSigningKeys {
  readonly masterKey: string | null
  readonly selfSigningKey: string | null
}

/** @returns `undefined` for an ID that no device has, and for keys that are not those of this device */
export function readDevice(
  userId: string,
  device: { readonly deviceId: Json | undefined; readonly keys: Json | undefined; readonly name?: Json | undefined },
): RemoteDevice | undefined {
  const { deviceId, keys, name } = device
  if (!isRemoteDeviceId(deviceId) || !isJsonObject(keys)) return undefined
  if (keys.user_id !== userId || keys.device_id !== deviceId) return undefined
  const { unsigned: _, ...signed } = keys
  if (!Array.isArray(signed.algorithms) || !isJsonObject(signed.keys) || !isJsonObject(signed.signatures))
    return undefined
  if (!Object.values(signed.keys).every((key) => typeof key === 'string')) return undefined
  const json = boundedJson(signed)
  if (json === undefined) return undefined
  return { deviceId, json, displayName: typeof name === 'string' ? name.slice(0, MAX_NAME_LENGTH) : null }
}

export function isRemoteDeviceId(deviceId: Json | undefined): deviceId is string {
  return typeof deviceId === 'string' && deviceId !== '' && deviceId !== '*' && deviceId.length <= MAX_ID_LENGTH
}

/**
 * The self-signing key only where the master key has signed it.
 * @param known the master key that is known, as JSON, where the answer has none
 */
export function readSigningKeys(
  userId: string,
  keys: { readonly master: Json | undefined; readonly selfSigning: Json | undefined },
  known: string | null = null,
): RemoteSigningKeys {
  const master = readSigningKey(userId, 'master', keys.master)
  const masterKey = master?.json ?? (keys.master === undefined ? known : null)
  if (masterKey === null) return { masterKey: null, selfSigningKey: null }
  const masterPublic = master?.publicKey ?? publicKeyOf(userId, masterKey)
  const selfSigning = readSigningKey(userId, 'self_signing', keys.selfSigning)
  const isGood =
    selfSigning &&
    isSignedBy(selfSigning.key, userId, (keyId) => (keyId === `ed25519:${masterPublic}` ? masterPublic : undefined))
  return { masterKey, selfSigningKey: isGood ? selfSigning.json : null }
}

/** The public key of a master key that is kept. */
export function publicKeyOf(userId: string, masterKey: string): string {
  return checkShape(userId, 'master', JSON.parse(masterKey) as JsonObject)
}

/** A `stream_id` in the form that it is kept and compared in. */
export function streamIdOf(value: Json | ExactNumber | undefined): string | undefined {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? String(value) : undefined
  return value instanceof ExactNumber && value.isInteger && value.source.length <= 32 ? value.source : undefined
}

function readSigningKey(
  userId: string,
  usage: 'master' | 'self_signing',
  key: Json | undefined,
): { readonly publicKey: string; readonly key: JsonObject; readonly json: string } | undefined {
  if (!isJsonObject(key)) return undefined
  const { unsigned: _, ...signed } = key
  const json = boundedJson(signed)
  if (json === undefined) return undefined
  try {
    return { publicKey: checkShape(userId, usage, signed), key: signed, json }
  } catch (error) {
    if (error instanceof MatrixError) return undefined
    throw error
  }
}

/** `undefined` for what is too long, too deep, or could not be signed at all. */
function boundedJson(value: JsonObject): string | undefined {
  if (!checkCanonicalJson(value, false, MAX_DEPTH).ok) return undefined
  const json = JSON.stringify(value)
  return json.length <= MAX_KEY_BYTES ? json : undefined
}
