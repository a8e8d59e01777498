/** Devices and keys of people in tests: real signatures, by keys that tests know. */
import type { JsonObject } from '../../server/protocol/pdu.ts'
import { signJson } from '../../server/protocol/signing.ts'
import { makeSigningKey, type SigningKey } from '../../server/protocol/signing-key.ts'
import type { Person } from '../support/test-server.ts'

const KEYS = '/_matrix/client/v3/keys'
let seed = 0

/** A fresh key pair; the ID's name is the device's or, for cross-signing, the public key itself. */
export function newKey(name?: string): SigningKey {
  seed += 1
  const key = makeSigningKey(Buffer.alloc(32, seed), 'made')
  return { ...key, keyId: `ed25519:${name ?? key.publicKey}` }
}

export function deviceKeys(userId: string, deviceId: string, key = newKey(deviceId)): JsonObject {
  const keys = { [`curve25519:${deviceId}`]: `curve${seed}`, [`ed25519:${deviceId}`]: key.publicKey }
  const algorithms = ['m.olm.v1.curve25519-aes-sha2', 'm.megolm.v1.aes-sha2']
  return signJson({ user_id: userId, device_id: deviceId, algorithms, keys }, userId, key)
}

export function crossSigningKey(userId: string, usage: string, key: SigningKey, master?: SigningKey): JsonObject {
  const bare = { user_id: userId, usage: [usage], keys: { [`ed25519:${key.publicKey}`]: key.publicKey } }
  return master ? signJson(bare, userId, master) : bare
}

export interface Identity {
  readonly master: SigningKey
  readonly selfSigning: SigningKey
  readonly userSigning: SigningKey
}

export const newIdentity = (): Identity => ({ master: newKey(), selfSigning: newKey(), userSigning: newKey() })

export const identityUpload = (userId: string, { master, selfSigning, userSigning }: Identity) => ({
  master_key: crossSigningKey(userId, 'master', master),
  self_signing_key: crossSigningKey(userId, 'self_signing', selfSigning, master),
  user_signing_key: crossSigningKey(userId, 'user_signing', userSigning, master),
})

const oneTimeKeys = (names: readonly string[]): JsonObject =>
  Object.fromEntries(names.map((name) => [`signed_curve25519:${name}`, { key: `key ${name}`, signatures: {} }]))

/** Publishes a device's keys, and one-time keys under these names. @returns the device's keys */
export async function publish(person: Person, oneTime: readonly string[] = []): Promise<JsonObject> {
  const keys = deviceKeys(person.userId, person.deviceId)
  await good(person.api.post(`${KEYS}/upload`, { device_keys: keys, one_time_keys: oneTimeKeys(oneTime) }))
  return keys
}

export interface KeysReply {
  readonly failures: Record<string, JsonObject>
  readonly device_keys: Record<string, Record<string, JsonObject>>
  readonly master_keys: Record<string, JsonObject>
  readonly self_signing_keys: Record<string, JsonObject>
  readonly user_signing_keys: Record<string, JsonObject>
}

export const queryKeys = (asker: Person, userId: string, deviceIds: readonly string[] = []): Promise<KeysReply> =>
  good<KeysReply>(asker.api.post(`${KEYS}/query`, { device_keys: { [userId]: deviceIds } }))

/** IDs of the devices that the asker's server knows of a user. */
export const devicesOf = async (asker: Person, userId: string): Promise<readonly string[]> =>
  Object.keys((await queryKeys(asker, userId)).device_keys[userId] ?? {}).sort()

export interface DeviceSync {
  readonly next_batch: string
  readonly device_lists?: { readonly changed?: readonly string[]; readonly left?: readonly string[] }
  readonly to_device?: {
    readonly events: readonly { readonly type: string; readonly sender: string; readonly content: JsonObject }[]
  }
}

/** Follows somebody's sync from now on: all answers up to the first that is wanted. */
export async function follow(person: Person): Promise<(wanted: (sync: DeviceSync) => boolean) => Promise<DeviceSync>> {
  const sync = (query: Record<string, string | number>) =>
    good<DeviceSync>(person.api.get('/_matrix/client/v3/sync', query))
  let since = (await sync({ timeout: 0 })).next_batch
  return async (wanted) => {
    for (let tries = 0; tries < 40; tries++) {
      const answer = await sync({ since, timeout: 1_000 })
      since = answer.next_batch
      if (wanted(answer)) return answer
    }
    throw new Error(`${person.userId} never saw it`)
  }
}

export async function good<T>(reply: Promise<{ readonly status: number; readonly body: unknown }>): Promise<T> {
  const { status, body } = await reply
  if (status !== 200) throw new Error(`answered ${status} ${JSON.stringify(body)}`)
  return body as T
}
