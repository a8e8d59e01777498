/**
 * What other servers hear of our users' devices and keys. Each change is a row of the commit that made it, and stays one until the
 * EDUs for all servers are rows themselves. Spec: server-server-api §Device Management, §End-to-End Encryption.
 */
import type { Edu, Outbox } from '../../federation/index.ts'
import type { Environment } from '../../observe/environment.ts'
import type { JsonObject } from '../../protocol/pdu.ts'
import { put, remove, type Store } from '../../store/index.ts'
import type { DeviceIdentities, QueriedKeys } from '../device-keys.ts'
import { deviceStreamRows, type UntoldChangeRow, untoldChangeRows } from '../store.ts'
import type { Neighbours } from './neighbours.ts'

/** So many changes are looked at in one go. */
const BATCH = 200
/** How long to wait after an error of the disk. */
const PAUSE_MS = 5_000

/** An EDU, and the key under which a later one takes its place. */
type Keyed = readonly [key: string, edu: Edu]

export class TellServers implements AsyncDisposable {
  readonly #environment: Environment
  readonly #store: Store
  readonly #identities: Pick<DeviceIdentities, 'query'>
  readonly #neighbours: Neighbours
  readonly #outbox: Pick<Outbox, 'writeEdu' | 'edusReady'>
  #isBegun = false
  #isClosed = false
  #hasMore = false
  #run: Promise<void> | undefined
  #cancelPause: (() => void) | undefined

  constructor(deps: {
    readonly environment: Environment
    readonly store: Store
    readonly identities: Pick<DeviceIdentities, 'query'>
    readonly neighbours: Neighbours
    readonly outbox: Pick<Outbox, 'writeEdu' | 'edusReady'>
  }) {
    this.#environment = deps.environment
    this.#store = deps.store
    this.#identities = deps.identities
    this.#neighbours = deps.neighbours
    this.#outbox = deps.outbox
  }

  /** Tells what a stop left untold, and all that comes from then on. */
  begin(): void {
    this.#isBegun = true
    this.wake()
  }

  /** A change has been committed. */
  wake(): void {
    if (!this.#isBegun || this.#isClosed || this.#cancelPause) return
    this.#hasMore = true
    this.#run ??= this.#tellAll().finally(() => {
      this.#run = undefined
      if (this.#hasMore) this.wake()
    })
  }

  /**
   * One of our users has come into a room: servers that hear of their devices for the first time learn that there are some. They
   * ask for the rest.
   */
  async cameInto(userId: string, roomId: string): Promise<void> {
    const servers = await this.#neighbours.newServersOf(userId, roomId)
    if (servers.size === 0) return
    const streamId = await this.streamIdOf(userId)
    const { deviceKeys } = await this.#identities.query(null, userId, [])
    const [first] = deviceKeys
    if (!first) return
    const [deviceId, keys] = first
    // It says nothing new: whoever is up to date finds that it follows what they have.
    const edu = deviceUpdate(userId, deviceId, keys, { streamId, previous: streamId })
    await this.#store.commit(() => this.#writes(servers, [[keyOfDevice(userId, deviceId), edu]]))
    this.#outbox.edusReady(servers)
  }

  /** The newest `stream_id` of one of our users. To be read before the devices that it is told with. */
  async streamIdOf(userId: string): Promise<number> {
    return (await this.#store.home.get(deviceStreamRows, userId))?.streamId ?? 0
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true
    this.#cancelPause?.()
    await this.#run
  }

  /** Never rejects. */
  async #tellAll(): Promise<void> {
    try {
      while (!this.#isClosed) {
        this.#hasMore = false
        const rows = await this.#store.home.range(untoldChangeRows, { index: 'order', limit: BATCH })
        if (rows.length === 0) return
        for (const [userId, ofUser] of Map.groupBy(rows, (row) => row.userId)) {
          if (this.#isClosed) return
          await this.#tell(userId, ofUser)
        }
      }
    } catch (error) {
      this.#environment.logger.error({ event: 'e2ee.servers-not-told', error })
      this.#hasMore = false
      this.#cancelPause = this.#environment.clock.after(PAUSE_MS, () => {
        this.#cancelPause = undefined
        this.wake()
      })
    }
  }

  async #tell(userId: string, rows: readonly UntoldChangeRow[]): Promise<void> {
    const servers = await this.#neighbours.serversOf(userId)
    const deviceIds = [...new Set(rows.map(({ deviceId }) => deviceId).filter((deviceId) => deviceId !== null))]
    const first = await this.streamIdOf(userId)
    const keys = await this.#identities.query(null, userId, deviceIds)
    const edus: Keyed[] = []
    // First, since devices are signed by them.
    if (rows.some(({ deviceId }) => deviceId === null)) {
      edus.push([`signing keys ${userId}`, signingKeyUpdate(userId, keys)])
    }
    for (const [i, deviceId] of deviceIds.entries()) {
      const ids = { streamId: first + i + 1, previous: first + i }
      edus.push([keyOfDevice(userId, deviceId), deviceUpdate(userId, deviceId, keys.deviceKeys.get(deviceId), ids)])
    }
    await this.#store.commit(() => [
      ...rows.map(({ order }) => remove(untoldChangeRows, order)),
      ...(deviceIds.length > 0 ? [put(deviceStreamRows, { userId, streamId: first + deviceIds.length })] : []),
      ...this.#writes(servers, edus),
    ])
    this.#outbox.edusReady(servers)
  }

  #writes(servers: ReadonlySet<string>, edus: readonly Keyed[]) {
    return [...servers].flatMap((server) => edus.map(([key, edu]) => this.#outbox.writeEdu(server, edu, key)))
  }
}

const keyOfDevice = (userId: string, deviceId: string): string => `device ${userId} ${deviceId}`

/** @param keys `undefined`: the device is gone */
function deviceUpdate(
  userId: string,
  deviceId: string,
  keys: JsonObject | undefined,
  { streamId, previous }: { readonly streamId: number; readonly previous: number },
): Edu {
  const about = { user_id: userId, device_id: deviceId, stream_id: streamId, prev_id: [previous] }
  if (!keys) return { edu_type: 'm.device_list_update', content: { ...about, deleted: true } }
  return { edu_type: 'm.device_list_update', content: { ...about, ...withName(keys) } }
}

/** A device's keys without `unsigned`, and the name that was in there, as servers tell each other. */
export function withName({ unsigned, ...keys }: JsonObject): { keys: JsonObject; device_display_name?: string } {
  const name = (unsigned as { device_display_name?: string } | undefined)?.device_display_name
  return { keys, ...(name !== undefined && { device_display_name: name }) }
}

function signingKeyUpdate(userId: string, { master, selfSigning }: QueriedKeys): Edu {
  return {
    edu_type: 'm.signing_key_update',
    content: {
      user_id: userId,
      ...(master && { master_key: master }),
      ...(selfSigning && { self_signing_key: selfSigning }),
    },
  }
}
