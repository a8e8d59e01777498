import { forbidden, invalidParam, notFound } from '../../shared/matrix/errors.ts'
import type { AccountsForReaders } from '../accounts/index.ts'
import type { JsonObject } from '../protocol/pdu.ts'
import { collection, put, type Row, remove, type Store } from '../store/index.ts'
import type { DeviceIdentities } from './device-keys.ts'
import type { ToDevice } from './to-device.ts'

/** Messages of one answer. */
const BATCH = 100

type DehydratedRow = Row & {
  userId: string
  /** `null` before the first one is complete. */
  deviceId: string | null
  /** `device_data` as JSON text. */
  json: string
  /** One that is being made, or was replaced, and is to be removed. */
  otherId: string | null
}
const dehydratedRows = collection<DehydratedRow>({
  name: 'dehydrated-devices',
  place: 'home',
  key: 'userId',
  indexes: [],
})

/** Devices without a session, and how they come and go. */
export interface DeviceMaker extends Pick<AccountsForReaders, 'findDevice'> {
  /** @returns false where the user has such a device */
  createDevice(userId: string, deviceId: string, displayName: string | undefined): Promise<boolean>
  removeDevices(userId: string, deviceIds: readonly string[]): Promise<void>
}

export interface DehydratedDevice {
  readonly device_id: string
  readonly device_data: JsonObject
}

export interface DehydratedUpload extends DehydratedDevice {
  readonly displayName: string | undefined
  readonly keys: {
    readonly device_keys: JsonObject
    readonly one_time_keys?: JsonObject | undefined
    readonly fallback_keys?: JsonObject | undefined
  }
}

/**
 * One device for each user that nobody is logged in with: it gets messages, which a later login reads with the key from the
 * secret storage. To all others it is a device like any other. Spec: MSC3814.
 */
export class DehydratedDevices {
  readonly #store: Store
  readonly #accounts: DeviceMaker
  readonly #identities: Pick<DeviceIdentities, 'upload'>
  readonly #toDevice: Pick<ToDevice, 'since'>

  constructor(
    store: Store,
    accounts: DeviceMaker,
    parts: { readonly identities: Pick<DeviceIdentities, 'upload'>; readonly toDevice: Pick<ToDevice, 'since'> },
  ) {
    this.#store = store
    this.#accounts = accounts
    this.#identities = parts.identities
    this.#toDevice = parts.toDevice
  }

  /**
   * Takes the place of the one before, which goes once this one is complete.
   * @throws MatrixError 400 M_INVALID_PARAM for keys of another device; 403 M_FORBIDDEN for the ID of a device in use
   */
  async put(userId: string, upload: DehydratedUpload): Promise<void> {
    const { device_id: deviceId, device_data: data, displayName, keys } = upload
    if (keys.device_keys.user_id !== userId || keys.device_keys.device_id !== deviceId) {
      throw invalidParam('`device_keys` are those of another device')
    }
    await this.#alone(userId, async () => {
      const before = await this.#row(userId)
      const json = JSON.stringify(data)
      if (before.deviceId !== deviceId && before.otherId !== deviceId) {
        if (await this.#accounts.findDevice(userId, deviceId)) throw forbidden('You are logged in with this device')
      }
      if (before.otherId !== null && before.otherId !== deviceId) {
        await this.#accounts.removeDevices(userId, [before.otherId])
      }
      const isNew = before.deviceId !== deviceId
      // Whatever comes between, this says which device is to be removed.
      if (isNew) await this.#write({ ...before, otherId: deviceId })
      await this.#accounts.createDevice(userId, deviceId, displayName)
      await this.#identities.upload(userId, deviceId, keys)
      const replaced = isNew ? before.deviceId : null
      await this.#write({ userId, deviceId, json, otherId: replaced })
      if (replaced === null) return
      await this.#accounts.removeDevices(userId, [replaced])
      await this.#write({ userId, deviceId, json, otherId: null })
    })
  }

  /** @throws MatrixError 404 M_NOT_FOUND */
  async get(userId: string): Promise<DehydratedDevice> {
    const { deviceId, json } = await this.#row(userId)
    if (deviceId === null || (await this.#isGone(userId, deviceId))) throw notFound('You have no dehydrated device')
    return { device_id: deviceId, device_data: JSON.parse(json) as JsonObject }
  }

  /** @returns its ID. @throws MatrixError 404 M_NOT_FOUND */
  async delete(userId: string): Promise<string> {
    return this.#alone(userId, async () => {
      const { device_id: deviceId } = await this.get(userId)
      const { otherId } = await this.#row(userId)
      await this.#accounts.removeDevices(userId, [deviceId, ...(otherId === null ? [] : [otherId])])
      await this.#store.commit(() => [remove(dehydratedRows, userId)])
      return deviceId
    })
  }

  /**
   * Messages that wait for it, which stay until the device is removed: reading them may be cut short.
   * @param from `next` of the answer before
   * @throws MatrixError 403 M_FORBIDDEN for another device, 400 M_INVALID_PARAM for a token that is none
   */
  async events(
    userId: string,
    deviceId: string,
    from: string | undefined,
  ): Promise<{ readonly events: readonly string[]; readonly next: string | undefined }> {
    const row = await this.#row(userId)
    if (row.deviceId !== deviceId || (await this.#isGone(userId, deviceId)))
      throw forbidden('That is not your dehydrated device')
    if (from !== undefined && !/^\d{1,15}$/.test(from)) throw invalidParam('The token is none of ours')
    const { position } = this.#store
    const found = await this.#toDevice.since({ userId, deviceId }, Number(from ?? 0), position, BATCH + 1)
    const batch = found.slice(0, BATCH)
    const last = batch.at(-1)
    return {
      events: batch.map(({ json }) => json),
      next: found.length > batch.length && last ? String(last.position) : undefined,
    }
  }

  /** A device was removed, as any other can be: what is kept of it goes, too. */
  async removed(userId: string, deviceId: string): Promise<void> {
    await this.#alone(userId, async () => {
      const row = await this.#row(userId)
      if (row.deviceId !== deviceId || row.otherId !== null || !(await this.#isGone(userId, deviceId))) return
      await this.#store.commit(() => [remove(dehydratedRows, userId)])
    })
  }

  /** A stop may have come between the device's removal and that of the row. */
  async #isGone(userId: string, deviceId: string): Promise<boolean> {
    return (await this.#accounts.findDevice(userId, deviceId)) === undefined
  }

  #alone<T>(userId: string, work: () => Promise<T>): Promise<T> {
    return this.#store.exclusive(`dehydrated-device ${userId}`, work)
  }

  async #row(userId: string): Promise<DehydratedRow> {
    const row = await this.#store.home.get(dehydratedRows, userId)
    return row ?? { userId, deviceId: null, json: '{}', otherId: null }
  }

  async #write(row: DehydratedRow): Promise<void> {
    await this.#store.commit(() => [put(dehydratedRows, row)])
  }
}
