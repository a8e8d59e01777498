/**
 * Keys of users elsewhere for our clients: from the copies, else from their servers.
 * Spec: client-server-api §Key management API; server-server-api §End-to-End Encryption.
 */
import type { ReplyOf } from '../../../shared/api/endpoint.ts'
import { claimUserEncryptionKeys, queryUserEncryptionKeys } from '../../../shared/api/federation/user_keys.ts'
import { serverNameOf } from '../../../shared/matrix/identifiers.ts'
import { AtMost, type FederationClient, RemoteRefusal } from '../../federation/index.ts'
import { RemoteError } from '../../net/index.ts'
import type { Environment } from '../../observe/environment.ts'
import { checkCanonicalJson } from '../../protocol/canonical-json.ts'
import { isJsonObject, ownValue } from '../../protocol/json.ts'
import type { Json, JsonObject } from '../../protocol/pdu.ts'
import { isRemoteDeviceId, MAX_DEVICES, readDevice, readSigningKeys } from './check-keys.ts'
import type { Copies } from './copies.ts'
import type { Neighbours } from './neighbours.ts'
import type { Resync } from './resync.ts'

/** So many lists of one server are fetched for one query; of more users it is asked in one request, and nothing is kept. */
const MAX_FETCHED_AT_ONCE = 16
/** So many servers are asked at once for one request of a client. */
const MAX_SERVERS_AT_ONCE = 64
/** So many users are known to be near, since the copies of those who go end at once. */
const MAX_CONFIRMED = 50_000
const MAX_QUERY_BYTES = 16 * 1024 * 1024
const MAX_CLAIM_BYTES = 4 * 1024 * 1024
const MAX_ONE_TIME_KEY_BYTES = 8 * 1024
const MAX_KEY_NAME_LENGTH = 255

/** What is known of a user elsewhere, as clients get it. */
export interface KeysElsewhere {
  readonly deviceKeys: ReadonlyMap<string, JsonObject>
  readonly master?: JsonObject
  readonly selfSigning?: JsonObject
}

/** A server that could not be asked, or would not answer. */
export interface ServerFailure {
  readonly errcode: string
  readonly error: string
}

export interface FromServers<T> {
  readonly found: ReadonlyMap<string, T>
  readonly failures: ReadonlyMap<string, ServerFailure>
}

/** By device ID: a key by its full name. */
export type ClaimedKeys = ReadonlyMap<string, JsonObject>

export class AskServers {
  readonly #environment: Environment
  readonly #client: Pick<FederationClient, 'call'>
  readonly #copies: Copies
  readonly #resync: Resync
  readonly #neighbours: Neighbours
  /** Users whose copy was looked at since the start: a stop may have come between somebody's leaving and the end of their copy. */
  readonly #confirmed = new Set<string>()

  constructor(deps: {
    readonly environment: Environment
    readonly client: Pick<FederationClient, 'call'>
    readonly copies: Copies
    readonly resync: Resync
    readonly neighbours: Neighbours
  }) {
    this.#environment = deps.environment
    this.#client = deps.client
    this.#copies = deps.copies
    this.#resync = deps.resync
    this.#neighbours = deps.neighbours
  }

  /**
   * @param wanted device IDs by user ID; empty: all of the user's
   * @param timeoutMs what has not come by then is left out, and its server named
   */
  query(wanted: ReadonlyMap<string, readonly string[]>, timeoutMs: number): Promise<FromServers<KeysElsewhere>> {
    return this.#eachServer(wanted, timeoutMs, (server, ofServer, found) =>
      this.#queryServer(server, ofServer, found, timeoutMs),
    )
  }

  /** @param wanted algorithms by device ID by user ID */
  claim(
    wanted: ReadonlyMap<string, Readonly<Record<string, string>>>,
    timeoutMs: number,
  ): Promise<FromServers<ClaimedKeys>> {
    return this.#eachServer(wanted, timeoutMs, async (server, ofServer, found) => {
      const { one_time_keys: keys } = await this.#client.call(server, claimUserEncryptionKeys, {
        path: {},
        body: { one_time_keys: Object.fromEntries(ofServer) },
        timeoutMs,
        maxBytes: MAX_CLAIM_BYTES,
      })
      for (const [userId, algorithms] of ofServer) {
        const claimed = readClaimed(algorithms, ownValue(keys, userId))
        if (claimed.size > 0) found.set(userId, claimed)
      }
    })
  }

  /** Asks all servers side by side. What comes after the time is lost to the answer, not to the copies. */
  async #eachServer<W, T>(
    wanted: ReadonlyMap<string, W>,
    timeoutMs: number,
    ask: (server: string, ofServer: ReadonlyMap<string, W>, found: Map<string, T>) => Promise<void>,
  ): Promise<FromServers<T>> {
    const byServer = new Map<string, Map<string, W>>()
    for (const [userId, what] of wanted) {
      const server = serverNameOf(userId)
      byServer.set(server, (byServer.get(server) ?? new Map<string, W>()).set(userId, what))
    }
    const found = new Map<string, T>()
    const failures = new Map<string, ServerFailure>()
    const atMost = new AtMost(MAX_SERVERS_AT_ONCE)
    await Promise.all(
      [...byServer].map(async ([server, ofServer]) => {
        const answers = new Map<string, T>()
        let isLate = false
        const work = atMost.run(async () => {
          if (!isLate) await ask(server, ofServer, answers)
        })
        const failure = await this.#inTime(work, server, timeoutMs)
        isLate = true
        if (failure) failures.set(server, failure)
        for (const [userId, answer] of answers) found.set(userId, answer)
      }),
    )
    return { found, failures }
  }

  async #inTime(work: Promise<void>, server: string, timeoutMs: number): Promise<ServerFailure | undefined> {
    const { promise: late, resolve } = Promise.withResolvers<ServerFailure>()
    const cancel = this.#environment.clock.after(timeoutMs, () => resolve(unreachable('did not answer in time')))
    const done = work.then(
      () => undefined,
      (error: unknown) => {
        if (error instanceof RemoteRefusal) return { errcode: error.errcode, error: error.error }
        if (error instanceof RemoteError) {
          this.#environment.logger.info({ event: 'e2ee.keys-not-answered', server, why: error.message })
          return unreachable('cannot be reached')
        }
        // After the time nobody waits for it any more.
        this.#environment.logger.error({ event: 'e2ee.keys-not-asked', server, error })
        return unreachable('could not be asked')
      },
    )
    try {
      return await Promise.race([done, late])
    } finally {
      cancel()
    }
  }

  async #queryServer(
    server: string,
    wanted: ReadonlyMap<string, readonly string[]>,
    found: Map<string, KeysElsewhere>,
    timeoutMs: number,
  ): Promise<void> {
    await this.#confirm(server, wanted.keys())
    const missing = new Set<string>()
    for (const [userId, deviceIds] of wanted) {
      if (!(await this.#fromCopy(userId, deviceIds, found))) missing.add(userId)
    }
    if (missing.size === 0) return
    const near = missing.size <= MAX_FETCHED_AT_ONCE ? await this.#neighbours.near(server, missing) : new Set<string>()
    const fetched = await Promise.all(
      [...near].map(async (userId) => {
        try {
          await this.#resync.now(userId)
        } catch (error) {
          // A server may not have this endpoint, or not this user.
          if (error instanceof RemoteRefusal) return
          throw error
        }
        if (await this.#fromCopy(userId, wanted.get(userId) ?? [], found)) missing.delete(userId)
      }),
    ).then(
      () => undefined,
      (error: unknown) => error,
    )
    if (fetched !== undefined) throw fetched
    if (missing.size === 0) return
    const asked = [...missing].map((userId) => [userId, wanted.get(userId) ?? []] as const)
    const reply = await this.#client.call(server, queryUserEncryptionKeys, {
      path: {},
      body: { device_keys: Object.fromEntries(asked.map(([userId, deviceIds]) => [userId, [...deviceIds]])) },
      timeoutMs,
      maxBytes: MAX_QUERY_BYTES,
    })
    for (const [userId, deviceIds] of asked) found.set(userId, readQueried(userId, deviceIds, reply))
  }

  async #confirm(server: string, userIds: Iterable<string>): Promise<void> {
    const unconfirmed = new Set<string>()
    for (const userId of userIds) {
      if (!this.#confirmed.has(userId) && (await this.#copies.has(userId))) unconfirmed.add(userId)
    }
    if (unconfirmed.size === 0) return
    const near = await this.#neighbours.near(server, unconfirmed)
    if (this.#confirmed.size >= MAX_CONFIRMED) this.#confirmed.clear()
    for (const userId of unconfirmed) {
      if (near.has(userId)) this.#confirmed.add(userId)
      else await this.#copies.forget(userId)
    }
  }

  async #fromCopy(userId: string, deviceIds: readonly string[], found: Map<string, KeysElsewhere>): Promise<boolean> {
    const copy = await this.#copies.findFresh(userId)
    if (!copy) return false
    const { masterKey, selfSigningKey } = copy.list
    const wanted = new Set(deviceIds)
    const rows = copy.devices.filter(({ deviceId }) => wanted.size === 0 || wanted.has(deviceId))
    found.set(userId, {
      deviceKeys: new Map(rows.map(({ deviceId, json, displayName }) => [deviceId, shown(json, displayName)])),
      ...(masterKey !== null && { master: JSON.parse(masterKey) as JsonObject }),
      ...(selfSigningKey !== null && { selfSigning: JSON.parse(selfSigningKey) as JsonObject }),
    })
    return true
  }
}

const unreachable = (what: string): ServerFailure => ({ errcode: 'M_UNREACHABLE', error: `This server ${what}` })

function shown(json: string, displayName: string | null): JsonObject {
  const keys = JSON.parse(json) as JsonObject
  return { ...keys, unsigned: displayName === null ? {} : { device_display_name: displayName } }
}

function readQueried(
  userId: string,
  deviceIds: readonly string[],
  reply: ReplyOf<typeof queryUserEncryptionKeys>,
): KeysElsewhere {
  const wanted = new Set(deviceIds)
  const deviceKeys = new Map<string, JsonObject>()
  for (const [deviceId, keys] of Object.entries(ownValue(reply.device_keys as JsonObject, userId) ?? {})) {
    if (deviceKeys.size === MAX_DEVICES) break
    if (wanted.size > 0 && !wanted.has(deviceId)) continue
    const unsigned = isJsonObject(keys) ? keys.unsigned : undefined
    const name = isJsonObject(unsigned) ? unsigned.device_display_name : undefined
    const device = readDevice(userId, { deviceId, keys: keys as Json, name })
    if (device) deviceKeys.set(deviceId, shown(device.json, device.displayName))
  }
  const { masterKey, selfSigningKey } = readSigningKeys(userId, {
    master: ownValue((reply.master_keys ?? {}) as JsonObject, userId),
    selfSigning: ownValue((reply.self_signing_keys ?? {}) as JsonObject, userId),
  })
  return {
    deviceKeys,
    ...(masterKey !== null && { master: JSON.parse(masterKey) as JsonObject }),
    ...(selfSigningKey !== null && { selfSigning: JSON.parse(selfSigningKey) as JsonObject }),
  }
}

/** Of each device that was asked for, one key of the algorithm that was asked for. */
function readClaimed(algorithms: Readonly<Record<string, string>>, answer: unknown): Map<string, JsonObject> {
  const claimed = new Map<string, JsonObject>()
  if (!isJsonObject(answer)) return claimed
  for (const [deviceId, algorithm] of Object.entries(algorithms)) {
    const ofDevice = ownValue(answer, deviceId)
    if (!isRemoteDeviceId(deviceId) || !isJsonObject(ofDevice)) continue
    const entry = Object.entries(ofDevice).find(([name]) => name.startsWith(`${algorithm}:`))
    if (!entry || entry[0].length > MAX_KEY_NAME_LENGTH) continue
    const [name, key] = entry
    if (typeof key !== 'string' && !(isJsonObject(key) && typeof key.key === 'string')) continue
    if (!checkCanonicalJson(key, false, 16).ok || JSON.stringify(key).length > MAX_ONE_TIME_KEY_BYTES) continue
    claimed.set(deviceId, Object.fromEntries([[name, key]]))
  }
  return claimed
}
