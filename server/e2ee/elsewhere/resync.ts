import type { ReplyOf } from '../../../shared/api/endpoint.ts'
import { getUserDevices } from '../../../shared/api/federation/user_devices.ts'
import { serverNameOf } from '../../../shared/matrix/identifiers.ts'
import { AtMost, type FederationClient, RemoteRefusal } from '../../federation/index.ts'
import { RemoteError } from '../../net/index.ts'
import type { Environment } from '../../observe/environment.ts'
import type { Json } from '../../protocol/pdu.ts'
import { MAX_DEVICES, readDevice, readSigningKeys, streamIdOf } from './check-keys.ts'
import type { Copies, RemoteList } from './copies.ts'
import type { Neighbours } from './neighbours.ts'

/** So many lists are fetched at once, of all servers. */
const AT_ONCE = 16
const TIMEOUT_MS = 20_000
const MAX_BYTES = 8 * 1024 * 1024
/** A list that changes while it is fetched is fetched again, so many times. */
const MAX_ROUNDS = 3
const FIRST_DELAY_MS = 5_000
const LAST_DELAY_MS = 3_600_000

interface Retry {
  readonly failures: number
  readonly cancel: () => void
}

/** What is under way for one user. */
interface Running {
  readonly done: Promise<void>
  hasChanged: boolean
}

/** Fetches whole device lists, once for all who want the same one, and again later where that fails. */
export class Resync implements AsyncDisposable {
  readonly #environment: Environment
  readonly #client: Pick<FederationClient, 'call'>
  readonly #copies: Copies
  readonly #neighbours: Neighbours
  readonly #atMost = new AtMost(AT_ONCE)
  readonly #running = new Map<string, Running>()
  readonly #retries = new Map<string, Retry>()
  readonly #closing = new AbortController()
  #fetched = 0

  constructor(deps: {
    readonly environment: Environment
    readonly client: Pick<FederationClient, 'call'>
    readonly copies: Copies
    readonly neighbours: Neighbours
  }) {
    this.#environment = deps.environment
    this.#client = deps.client
    this.#copies = deps.copies
    this.#neighbours = deps.neighbours
  }

  /** Lists fetched since the start. */
  get fetched(): number {
    return this.#fetched
  }

  /** Lists that are to be fetched again. */
  get waiting(): number {
    return this.#retries.size
  }

  /**
   * Fetches a user's list and keeps it.
   * @throws RemoteError, RemoteRefusal
   */
  now(userId: string): Promise<void> {
    const known = this.#running.get(userId)
    if (known) return known.done
    this.#retries.get(userId)?.cancel()
    const done = this.#atMost
      .run(() => this.#fetch(userId))
      .then(() => void this.#retries.delete(userId))
      .finally(() => this.#running.delete(userId))
    this.#running.set(userId, { done, hasChanged: false })
    return done
  }

  /** Fetches a stale list in the background, until that succeeds or nobody needs it any more. */
  soon(userId: string): void {
    if (this.#closing.signal.aborted) return
    this.now(userId).catch((error: unknown) => this.#failed(userId, error))
  }

  /** A change of the user has come: what is being fetched may be older. @returns whether something is */
  hasChanged(userId: string): boolean {
    const running = this.#running.get(userId)
    if (running) running.hasChanged = true
    return running !== undefined
  }

  /** The server is there again. */
  heardFrom(server: string): void {
    for (const userId of [...this.#retries.keys()]) if (serverNameOf(userId) === server) this.soon(userId)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort()
    for (const { cancel } of this.#retries.values()) cancel()
    await Promise.allSettled([...this.#running.values()].map(({ done }) => done))
  }

  async #fetch(userId: string): Promise<void> {
    const server = serverNameOf(userId)
    for (let round = 1; round <= MAX_ROUNDS; round++) {
      const running = this.#running.get(userId)
      if (running) running.hasChanged = false
      const reply = await this.#client.call(server, getUserDevices, {
        path: { userId },
        timeoutMs: TIMEOUT_MS,
        maxBytes: MAX_BYTES,
        signal: this.#closing.signal,
      })
      const list = readList(userId, reply)
      this.#fetched += 1
      if (!(await this.#copies.replace(userId, list, () => !running?.hasChanged))) continue
      // Whoever went while the list was fetched is not followed.
      if (!(await this.#neighbours.near(server, new Set([userId]))).has(userId)) await this.#copies.forget(userId)
      return
    }
    throw new RemoteError(server, 'badAnswer', 'a list of devices changes faster than it can be fetched')
  }

  #failed(userId: string, error: unknown): void {
    if (this.#closing.signal.aborted) return
    if (!(error instanceof RemoteError || error instanceof RemoteRefusal)) {
      this.#environment.logger.error({ event: 'e2ee.device-list-not-fetched', userId, error })
    }
    if (error instanceof RemoteRefusal && error.status < 500 && error.status !== 429) {
      // It gives no such lists, or not this one: clients then get what it answers to each query.
      this.#retries.delete(userId)
      this.#guard(userId, this.#copies.forget(userId))
      return
    }
    const failures = (this.#retries.get(userId)?.failures ?? 0) + 1
    const { clock, random } = this.#environment
    const delayMs =
      Math.min(FIRST_DELAY_MS * 2 ** Math.min(failures - 1, 20), LAST_DELAY_MS) * (1 + random.number() / 5)
    const cancel = clock.after(delayMs, () => this.#guard(userId, this.#tryAgain(userId)))
    this.#retries.set(userId, { failures, cancel })
  }

  async #tryAgain(userId: string): Promise<void> {
    if (await this.#copies.isStale(userId)) this.soon(userId)
    else this.#retries.delete(userId)
  }

  #guard(userId: string, work: Promise<void>): void {
    work.catch((error: unknown) => {
      this.#environment.logger.error({ event: 'e2ee.device-list-not-fetched', userId, error })
    })
  }
}

/** @throws RemoteError for an answer about somebody else */
function readList(userId: string, reply: ReplyOf<typeof getUserDevices>): RemoteList {
  const streamId = streamIdOf(reply.stream_id)
  if (reply.user_id !== userId || streamId === undefined) {
    throw new RemoteError(serverNameOf(userId), 'badAnswer', 'its list of devices is that of another user')
  }
  const devices = reply.devices.slice(0, MAX_DEVICES).flatMap((device) => {
    const { device_id: deviceId, keys, device_display_name: name } = device
    return readDevice(userId, { deviceId, keys, name }) ?? []
  })
  const byId = new Map(devices.map((device) => [device.deviceId, device]))
  const keys = readSigningKeys(userId, {
    master: reply.master_key as Json,
    selfSigning: reply.self_signing_key as Json,
  })
  return { streamId, devices: [...byId.values()], ...keys }
}
