import { sendTransaction } from '../../shared/api/appservice/transactions.ts'
import { RemoteError } from '../net/index.ts'
import type { Environment } from '../observe/environment.ts'
import { put, type Store } from '../store/index.ts'
import type { Appservice } from './appservice.ts'
import { type AsClient, isSuccess } from './as-client.ts'
import { WaitingEphemeral } from './ephemeral.ts'
import { Interest } from './interest.ts'
import type { Acknowledgement, DeviceId } from './keys.ts'
import type { Sources } from './sources.ts'
import { type DeliveryRow, deliveryRows } from './store.ts'
import { type Assembled, assemble } from './transaction.ts'

/** A bridge may take long over a hundred events. */
const TIMEOUT_MS = 60_000
const FIRST_PAUSE_MS = 1_000
const LONGEST_PAUSE_MS = 5 * 60_000
/** A position that nothing was told at is written when it is so far from the one on the disk. */
const POSITIONS_BETWEEN_WRITES = 1_000
/** How many devices are remembered to have messages; those of others are found at the next start. */
const MAX_DEVICES = 10_000

export interface DeliveryParts {
  readonly service: Appservice
  readonly client: AsClient
  readonly environment: Environment
  readonly store: Store
  readonly sources: Sources
  readonly devicesOf: (userId: string) => Promise<readonly { readonly deviceId: string }[]>
}

/**
 * The time before a transaction is tried again: doubles from 1 s to 5 min, and up to 20 % more at random.
 * @param failures failed tries in a row, 1 or more
 * @param random in [0, 1)
 */
export function pauseMs(failures: number, random: number): number {
  return Math.round(Math.min(FIRST_PAUSE_MS * 2 ** (failures - 1), LONGEST_PAUSE_MS) * (1 + 0.2 * random))
}

/**
 * Tells one application service what happened, in the order in which it happened. There is one transaction at a time: it is
 * written to the disk before it is sent for the first time, and stays as it is until it is confirmed, over restarts too. What
 * comes after it is read from the rooms when its turn comes, so a bridge that is down for a week costs nothing but its position.
 * Spec: application-service-api §Pushing events.
 */
export class Delivery implements AsyncDisposable {
  readonly #parts: DeliveryParts
  readonly #interest: Interest
  readonly #ephemeral: WaitingEphemeral | undefined
  readonly #changedRooms = new Set<string>()
  readonly #devices = new Map<string, DeviceId>()
  readonly #unsubscribe: (() => void)[] = []
  readonly #closing = new AbortController()
  #row: DeliveryRow
  /** Up to here everything has been told or was of no interest. */
  #position: number
  #isStarted = false
  #hasNews = true
  #failures = 0
  #cancelPause: (() => void) | undefined
  #running: Promise<void> | undefined

  /** @param row where it has come to */
  constructor(parts: DeliveryParts, row: DeliveryRow) {
    this.#parts = parts
    this.#row = row
    this.#position = row.position
    const { service, sources } = parts
    this.#interest = new Interest(service, sources.rooms)
    this.#ephemeral = service.receivesEphemeral
      ? new WaitingEphemeral(service, this.#interest, {
          source: sources.ephemeral,
          since: row.position,
          wake: () => this.#wake(),
        })
      : undefined
    this.#unsubscribe.push(
      sources.rooms.onEvent(({ roomId }) => {
        this.#changedRooms.add(roomId)
        this.#wake()
      }),
    )
    if (service.receivesEphemeral || service.receivesKeys) {
      this.#unsubscribe.push(sources.keys.onToDevice((message) => this.#noteDevice(message) && this.#wake()))
    }
    if (service.receivesKeys) this.#unsubscribe.push(sources.keys.onDeviceListChanged(() => this.#wake()))
  }

  /** Begins, with what came while the server was down. */
  async start(): Promise<void> {
    const { sources, service } = this.#parts
    for (const roomId of sources.rooms.changedSince(this.#position)) this.#changedRooms.add(roomId)
    for (const roomId of await sources.rooms.elsewhereSince(this.#position)) this.#changedRooms.add(roomId)
    if (service.receivesEphemeral || service.receivesKeys) {
      for (const device of await sources.keys.inboxesInUse()) this.#noteDevice(device)
    }
    this.#isStarted = true
    this.#wake()
  }

  /** The application service can be reached: no need to wait for the next try. */
  retryNow(): void {
    if (!this.#cancelPause) return
    this.#cancelPause()
    this.#cancelPause = undefined
    this.#wake()
  }

  /** Messages to devices of people who also use a client of their own are for that client. */
  #noteDevice({ userId, deviceId }: DeviceId): boolean {
    if (!this.#parts.service.hasUserToItself(userId) || this.#devices.size >= MAX_DEVICES) return false
    this.#devices.set(JSON.stringify([userId, deviceId]), { userId, deviceId })
    return true
  }

  #wake(): void {
    this.#hasNews = true
    if (!this.#isStarted || this.#running || this.#cancelPause || this.#closing.signal.aborted) return
    this.#running = this.#run().finally(() => {
      this.#running = undefined
      if (this.#hasNews) this.#wake()
    })
  }

  /** Tells all there is. Never rejects. */
  async #run(): Promise<void> {
    const { environment, service } = this.#parts
    try {
      while (!this.#closing.signal.aborted) {
        if (this.#row.txnId === null && !(await this.#prepare())) return
        await this.#send()
      }
    } catch (error) {
      if (this.#closing.signal.aborted) return
      this.#failures += 1
      const delayMs = pauseMs(this.#failures, environment.random.number())
      if (this.#failures === 1) {
        const why = error instanceof Error ? error.message : String(error)
        environment.logger.warn({ event: 'appservice.not-told', appserviceId: service.id, why, delayMs })
      }
      this.#cancelPause = environment.clock.after(delayMs, () => {
        this.#cancelPause = undefined
        this.#wake()
      })
    }
  }

  /** Writes the next transaction. @returns false where there is nothing to tell */
  async #prepare(): Promise<boolean> {
    const { store, sources, environment } = this.#parts
    while (this.#hasNews) {
      this.#hasNews = false
      // Positions are seen a moment before the slices have told of them: after this turn of the event loop they have.
      await new Promise((resolve) => setImmediate(resolve))
      const upTo = store.position
      const roomIds = [...this.#changedRooms]
      const devices = [...this.#devices.values()]
      this.#devices.clear()
      const since = this.#position
      const parts = { ...this.#parts, interest: this.#interest, ephemeral: this.#ephemeral }
      let next: Assembled
      try {
        next = await assemble(parts, { since, upTo, roomIds, devices })
      } catch (error) {
        for (const device of devices) this.#noteDevice(device)
        throw error
      }
      // Those that were told of may have more by the time that it is acknowledged.
      for (const device of next.hasMoreToDevice ? devices : next.acknowledge) this.#noteDevice(device)
      const isAll = next.upTo >= upTo && next.acknowledge.length === 0 && this.#ephemeral?.isEmpty !== false
      if (!isAll) this.#hasNews = true
      const position = Math.max(next.upTo, since)
      if (next.body !== undefined) {
        const count = this.#row.count + 1
        // Not the number alone: after a backup is restored it would be one that was used.
        const txnId = `${count}-${environment.random.bytes(6).toString('hex')}`
        await this.#write({ position, count, txnId, body: next.body, toDevice: JSON.stringify(next.acknowledge) })
      } else if (position - this.#row.position > POSITIONS_BETWEEN_WRITES) await this.#write({ position })
      this.#position = position
      for (const roomId of roomIds) if (sources.rooms.lastChange(roomId) <= position) this.#changedRooms.delete(roomId)
      if (next.body !== undefined) return true
    }
    return false
  }

  async #write(change: Partial<DeliveryRow>): Promise<void> {
    const row = { ...this.#row, ...change }
    await this.#parts.store.commit(() => [put(deliveryRows, row)])
    this.#row = row
  }

  /** @throws RemoteError where the transaction was not confirmed */
  async #send(): Promise<void> {
    const { client, service, sources, environment } = this.#parts
    const { txnId, body, toDevice } = this.#row
    if (txnId === null || body === null) return
    const call = {
      endpoint: sendTransaction,
      path: { txnId },
      body,
      timeoutMs: TIMEOUT_MS,
      signal: this.#closing.signal,
    }
    const answer = await client.call(call)
    if (!isSuccess(answer)) throw new RemoteError(service.id, 'badAnswer', `status ${answer.status}`)
    if (this.#failures > 0) environment.logger.info({ event: 'appservice.told-again', appserviceId: service.id })
    this.#failures = 0
    for (const { upTo, ...device } of JSON.parse(toDevice ?? '[]') as readonly Acknowledgement[]) {
      await sources.keys.acknowledgeToDevice(device, upTo)
    }
    await this.#write({ txnId: null, body: null, toDevice: null })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort()
    for (const end of this.#unsubscribe) end()
    this.#ephemeral?.[Symbol.dispose]()
    this.#cancelPause?.()
    await this.#running
    if (this.#position > this.#row.position) await this.#write({ position: this.#position })
  }
}
