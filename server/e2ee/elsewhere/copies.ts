import type { Clock } from '../../observe/environment.ts'
import { type Op, put, remove, type Store } from '../../store/index.ts'
import type { DeviceLists } from '../device-list.ts'
import { type RemoteDeviceRow, type RemoteListRow, remoteDeviceRows, remoteListRows, rowKey } from '../store.ts'
import { MAX_DEVICES, type RemoteDevice, type RemoteSigningKeys } from './check-keys.ts'

/** So many users' lists are kept; those that were fetched longest ago go first, and are fetched again when they are asked for. */
const MAX_LISTS = 20_000
/** So many `stream_id`s are remembered, so that what comes twice or in another order is known. */
const REMEMBERED_STREAM_IDS = 20

/** All that a server says of one of its users' devices and keys. */
export interface RemoteList extends RemoteSigningKeys {
  readonly streamId: string
  readonly devices: readonly RemoteDevice[]
}

export interface Copy {
  readonly list: RemoteListRow
  readonly devices: readonly RemoteDeviceRow[]
}

/** One change of one device. */
export interface DeviceUpdate {
  readonly deviceId: string
  /** `undefined`: the device is gone, or has no keys any more. */
  readonly device: RemoteDevice | undefined
  readonly streamId: string
  readonly previous: readonly string[]
}

/** What became of an update: `gap` where the copy misses another one, `none` where there is no copy that it could go into. */
export type UpdateOutcome = 'applied' | 'known' | 'gap' | 'none'

/**
 * Copies of the device lists of users elsewhere who share a room with ours, kept as long as they do.
 * Spec: server-server-api §Device Management.
 */
export class Copies {
  readonly #store: Store
  readonly #clock: Clock
  readonly #lists: DeviceLists

  constructor(store: Store, clock: Clock, lists: DeviceLists) {
    this.#store = store
    this.#clock = clock
    this.#lists = lists
  }

  /** The copy, if nothing is missing in it. */
  async findFresh(userId: string): Promise<Copy | undefined> {
    const list = await this.#list(userId)
    if (!list || list.isStale) return undefined
    return { list, devices: await this.#devices(userId) }
  }

  async has(userId: string): Promise<boolean> {
    return (await this.#list(userId)) !== undefined
  }

  async isStale(userId: string): Promise<boolean> {
    return (await this.#list(userId))?.isStale === true
  }

  /** Users whose copies miss something. */
  async listStale(): Promise<readonly string[]> {
    const rows = await this.#store.home.range(remoteListRows, { index: 'userId' })
    return rows.filter(({ isStale }) => isStale).map(({ userId }) => userId)
  }

  /**
   * Puts a whole list in the place of what was there. Our users hear of it if that was another.
   * @param isCurrent whether no update has come since the list was asked for
   * @returns whether it was put there
   */
  async replace(userId: string, fetched: RemoteList, isCurrent: () => boolean): Promise<boolean> {
    const { streamId, devices, masterKey, selfSigningKey } = fetched
    return this.#alone(userId, async () => {
      const before = await this.#list(userId)
      const old = new Map((await this.#devices(userId)).map((row) => [row.id, row]))
      const rows = devices.map((device) => deviceRow(userId, device))
      const isOther =
        before !== undefined &&
        (before.masterKey !== masterKey ||
          before.selfSigningKey !== selfSigningKey ||
          old.size !== rows.length ||
          rows.some((row) => !isSame(row, old.get(row.id))))
      const surplus = before ? [] : await this.#surplus()
      for (const { id } of rows) old.delete(id)
      const list: RemoteListRow = {
        userId,
        streamIds: JSON.stringify([streamId]),
        isStale: false,
        masterKey,
        selfSigningKey,
        fetchedTs: this.#clock.now(),
      }
      if (!isCurrent()) return false
      await this.#commit(userId, isOther, () => [
        put(remoteListRows, list),
        ...[...old.keys()].map((id) => remove(remoteDeviceRows, id)),
        ...rows.map((row) => put(remoteDeviceRows, row)),
        ...surplus,
      ])
      return true
    })
  }

  /** Puts one update into the copy, or marks it as stale where others are missing before it. */
  async update(userId: string, { deviceId, device, streamId, previous }: DeviceUpdate): Promise<UpdateOutcome> {
    return this.#alone(userId, async () => {
      const list = await this.#list(userId)
      if (!list) return 'none'
      const seen = JSON.parse(list.streamIds) as readonly string[]
      if (seen.includes(streamId)) return list.isStale ? 'gap' : 'known'
      const isNext = !list.isStale && previous.length > 0 && previous.every((id) => seen.includes(id))
      const id = rowKey(userId, deviceId)
      const known = await this.#store.home.get(remoteDeviceRows, id)
      const isTooMany = device && !known && (await this.#devices(userId)).length >= MAX_DEVICES
      if (!isNext || isTooMany) {
        if (!list.isStale) await this.#store.commit(() => [put(remoteListRows, { ...list, isStale: true })])
        return 'gap'
      }
      const streamIds = JSON.stringify([...seen, streamId].slice(-REMEMBERED_STREAM_IDS))
      const row = device && deviceRow(userId, device)
      // The list that was fetched may have been newer than it said.
      const isNews = row ? !isSame(row, known) : known !== undefined
      await this.#commit(userId, isNews, () => [
        put(remoteListRows, { ...list, streamIds }),
        row ? put(remoteDeviceRows, row) : remove(remoteDeviceRows, id),
      ])
      return 'applied'
    })
  }

  /** @param read makes the keys that are new from the master key that is known; `undefined`: none that can be believed */
  async updateSigningKeys(
    userId: string,
    read: (knownMaster: string | null) => Partial<RemoteSigningKeys> | undefined,
  ): Promise<UpdateOutcome> {
    return this.#alone(userId, async () => {
      const list = await this.#list(userId)
      if (!list) return 'none'
      const keys = read(list.masterKey)
      if (!keys) {
        await this.#store.commit(() => [put(remoteListRows, { ...list, isStale: true })])
        return 'gap'
      }
      const updated = { ...list, ...keys }
      if (updated.masterKey === list.masterKey && updated.selfSigningKey === list.selfSigningKey) return 'known'
      await this.#commit(userId, true, () => [put(remoteListRows, updated)])
      return 'applied'
    })
  }

  async forget(userId: string): Promise<void> {
    await this.#alone(userId, async () => {
      const ops = await this.#removal(userId)
      await this.#store.commit(() => ops)
    })
  }

  /** Our users hear that somebody of whom there is no copy has changed something. */
  async announce(userId: string): Promise<void> {
    await this.#commit(userId, true, () => [])
  }

  async #commit(userId: string, isNews: boolean, ops: () => readonly Op[]): Promise<void> {
    const position = await this.#store.commit((at) => [
      ...ops(),
      ...(isNews ? [this.#lists.changedElsewhere(userId, at)] : []),
    ])
    if (isNews) this.#lists.announce(userId, position)
  }

  async #surplus(): Promise<readonly Op[]> {
    if ((await this.#store.home.count(remoteListRows)) < MAX_LISTS) return []
    const [oldest] = await this.#store.home.range(remoteListRows, { index: 'fetchedTs', limit: 1 })
    return oldest ? this.#removal(oldest.userId) : []
  }

  async #removal(userId: string): Promise<readonly Op[]> {
    const devices = await this.#devices(userId)
    return [remove(remoteListRows, userId), ...devices.map(({ id }) => remove(remoteDeviceRows, id))]
  }

  #list(userId: string): Promise<RemoteListRow | undefined> {
    return this.#store.home.get(remoteListRows, userId)
  }

  #devices(userId: string): Promise<readonly RemoteDeviceRow[]> {
    return this.#store.home.range(remoteDeviceRows, { index: 'userId', from: userId, to: `${userId}\u0000` })
  }

  #alone<T>(userId: string, work: () => Promise<T>): Promise<T> {
    return this.#store.exclusive(`remote-devices ${userId}`, work)
  }
}

function deviceRow(userId: string, { deviceId, json, displayName }: RemoteDevice): RemoteDeviceRow {
  return { id: rowKey(userId, deviceId), userId, deviceId, json, displayName }
}

function isSame(row: RemoteDeviceRow, other: RemoteDeviceRow | undefined): boolean {
  return row.json === other?.json && row.displayName === other.displayName
}
