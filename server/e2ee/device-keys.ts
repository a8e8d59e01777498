import { invalidParam } from '../../shared/matrix/errors.ts'
import type { AccountsForReaders } from '../accounts/index.ts'
import type { JsonObject } from '../protocol/pdu.ts'
import { put, remove, type Store } from '../store/index.ts'
import { type CrossSigning, withSignatures } from './cross-signing.ts'
import type { DeviceLists } from './device-list.ts'
import type { OneTimeKeys } from './one-time-keys.ts'
import { type DeviceKeysRow, deviceKeysRows, rowKey } from './store.ts'
import type { ToDevice } from './to-device.ts'

/** What one user's keys look like to the user who asks. */
export interface QueriedKeys {
  /** By device ID. */
  readonly deviceKeys: ReadonlyMap<string, JsonObject>
  readonly master?: JsonObject
  readonly selfSigning?: JsonObject
  /** Only for the user who asks. */
  readonly userSigning?: JsonObject
}

/** Identity keys of devices, with the signatures that were put on them. Spec: client-server-api §Key management API. */
export class DeviceIdentities {
  readonly #store: Store
  readonly #accounts: AccountsForReaders
  readonly #parts: { lists: DeviceLists; crossSigning: CrossSigning; oneTimeKeys: OneTimeKeys; toDevice: ToDevice }

  constructor(
    store: Store,
    accounts: AccountsForReaders,
    parts: { lists: DeviceLists; crossSigning: CrossSigning; oneTimeKeys: OneTimeKeys; toDevice: ToDevice },
  ) {
    this.#store = store
    this.#accounts = accounts
    this.#parts = parts
  }

  /**
   * Stores a device's identity, one-time and fallback keys, all or none.
   * @returns unclaimed one-time keys by algorithm
   * @throws MatrixError 400 M_INVALID_PARAM for keys that name another user or device
   */
  async upload(
    userId: string,
    deviceId: string,
    upload: {
      readonly device_keys?: JsonObject | undefined
      readonly one_time_keys?: JsonObject | undefined
      readonly fallback_keys?: JsonObject | undefined
    },
  ): Promise<Readonly<Record<string, number>>> {
    const row = upload.device_keys ? rowOf(userId, deviceId, upload.device_keys) : undefined
    const existing = row ? await this.#store.home.get(deviceKeysRows, row.id) : undefined
    const isChanged = row !== undefined && row.json !== existing?.json
    const oneTime = upload.one_time_keys ?? {}
    const fallback = upload.fallback_keys ?? {}
    if (isChanged || Object.keys(oneTime).length > 0 || Object.keys(fallback).length > 0) {
      const position = await this.#parts.oneTimeKeys.upload(userId, deviceId, oneTime, fallback, (at) =>
        isChanged ? [put(deviceKeysRows, row), ...this.#parts.lists.changed(userId, at, [deviceId])] : [],
      )
      if (isChanged) this.#parts.lists.announce(userId, position)
    }
    return this.#parts.oneTimeKeys.counts(userId, deviceId)
  }

  /**
   * @param asker `null`: another server
   * @param deviceIds empty: all of the user's devices
   */
  async query(asker: string | null, userId: string, deviceIds: readonly string[]): Promise<QueriedKeys> {
    const { crossSigning } = this.#parts
    const [rows, keys, own, askers] = await Promise.all([
      this.#rows(userId, deviceIds),
      crossSigning.keysOf(userId),
      crossSigning.signaturesOn(userId, userId),
      asker === userId || asker === null ? undefined : crossSigning.signaturesOn(asker, userId),
    ])
    const deviceKeys = new Map<string, JsonObject>()
    for (const row of rows) {
      const device = await this.#accounts.findDevice(userId, row.deviceId)
      if (!device) {
        // The device went in a crash that came between its removal and that of its keys.
        await this.remove(userId, row.deviceId)
        continue
      }
      const signed = withSignatures(JSON.parse(row.json), userId, own.get(row.deviceId))
      deviceKeys.set(row.deviceId, {
        ...signed,
        unsigned: device.displayName === null ? {} : { device_display_name: device.displayName },
      })
    }
    const master = keys.get('master')
    const selfSigning = keys.get('self_signing')
    const userSigning = asker === userId ? keys.get('user_signing') : undefined
    return {
      deviceKeys,
      ...(master && {
        master: withSignatures(
          withSignatures(JSON.parse(master.json), userId, own.get(master.publicKey)),
          asker ?? userId,
          askers?.get(master.publicKey),
        ),
      }),
      ...(selfSigning && { selfSigning: JSON.parse(selfSigning.json) }),
      ...(userSigning && { userSigning: JSON.parse(userSigning.json) }),
    }
  }

  /** The name is part of what others get with the device's keys: their lists are to be asked for anew. */
  async renamed(userId: string, deviceId: string): Promise<void> {
    const { lists } = this.#parts
    if (!(await this.#store.home.get(deviceKeysRows, rowKey(userId, deviceId)))) return
    const position = await this.#store.commit((at) => lists.changed(userId, at, [deviceId]))
    lists.announce(userId, position)
  }

  /** Takes away all that is kept for a device, after the device itself went. */
  async remove(userId: string, deviceId: string): Promise<void> {
    const { lists, oneTimeKeys, toDevice, crossSigning } = this.#parts
    const id = rowKey(userId, deviceId)
    await oneTimeKeys.alone(userId, deviceId, async () => {
      const hadKeys = (await this.#store.home.get(deviceKeysRows, id)) !== undefined
      const removals = [
        ...(await oneTimeKeys.removalOf(userId, deviceId)),
        ...(await toDevice.removalOf(userId, deviceId)),
        ...(await crossSigning.removalOf(userId, deviceId)),
      ]
      const position = await this.#store.commit((at) => [
        ...removals,
        remove(deviceKeysRows, id),
        ...(hadKeys ? lists.changed(userId, at, [deviceId]) : []),
      ])
      oneTimeKeys.forget(userId, deviceId)
      toDevice.forget(userId, deviceId)
      if (hadKeys) lists.announce(userId, position)
    })
  }

  async #rows(userId: string, deviceIds: readonly string[]): Promise<readonly DeviceKeysRow[]> {
    if (deviceIds.length === 0) {
      return this.#store.home.range(deviceKeysRows, { index: 'userId', from: userId, to: `${userId}\u0000` })
    }
    const rows = await Promise.all(
      [...new Set(deviceIds)].map((deviceId) => this.#store.home.get(deviceKeysRows, rowKey(userId, deviceId))),
    )
    return rows.filter((row) => row !== undefined)
  }
}

function rowOf(userId: string, deviceId: string, keys: JsonObject): DeviceKeysRow {
  if (keys.user_id !== userId) throw invalidParam('`device_keys.user_id` is not the user who uploads')
  if (keys.device_id !== deviceId) throw invalidParam('`device_keys.device_id` is not the device that uploads')
  const { unsigned: _, ...signed } = keys
  return { id: rowKey(userId, deviceId), userId, deviceId, json: JSON.stringify(signed) }
}
