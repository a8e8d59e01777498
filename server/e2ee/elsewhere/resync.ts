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

/** A fetch that is under way. */
interface Fetch {
  /** A change of the user has come since the list was asked for. */
  hasChanged: boolean
}

/** Fetches whole device lists, once for all who want the same one, and again later where that fails. */
export class Resync implements AsyncDisposable {
  readonly #environment: Environment
  readonly #client: Pick<FederationClient, 'call'>
  readonly #copies: Copies
  readonly #neighbours: Neighbours
  readonly #atMost = new AtMost(AT_ONCE)
  readonly #running = new Map<string, { readonly done: Promise<void>; readonly fetch: Fetch }>()
  /** Users whose list is fetched in the background now. */
  readonly #background = new Set<string>()
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
    const fetch: Fetch = { hasChanged: false }
    const done = this.#atMost
      .run(() => this.#fetch(userId, fetch))
      .then(() => {
        this.#retries.get(userId)?.cancel()
        this.#retries.delete(userId)
      })
      .finally(() => this.#running.delete(userId))
    this.#running.set(userId, { done, fetch })
    return done
  }

  /** Fetches a stale list in the background, until that succeeds or nobody needs it any more. */
  soon(userId: string): void {
    if (this.#closing.signal.aborted || this.#background.has(userId)) return
    this.#background.add(userId)
    this.now(userId)
      .catch((error: unknown) => this.#failed(userId, error))
      .finally(() => this.#background.delete(userId))
      .catch((error: unknown) => {
        this.#environment.logger.error({ event: 'e2ee.device-list-not-fetched', userId, error })
      })
  }

  /** A change of the user has come: what is being fetched may be older. To be called before the change goes into the copy. */
  hasChanged(userId: string): void {
    const running = this.#running.get(userId)
    if (running) running.fetch.hasChanged = true
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

  async #fetch(userId: string, fetch: Fetch): Promise<void> {
    const server = serverNameOf(userId)
    for (let round = 1; round <= MAX_ROUNDS; round++) {
      fetch.hasChanged = false
      const reply = await this.#client.call(server, getUserDevices, {
        path: { userId },
        timeoutMs: TIMEOUT_MS,
        maxBytes: MAX_BYTES,
        signal: this.#closing.signal,
      })
      const list = readList(userId, reply)
      this.#fetched += 1
      if (!(await this.#copies.replace(userId, list, () => !fetch.hasChanged))) continue
      // Whoever went while the list was fetched is not followed.
      if (!(await this.#neighbours.near(server, new Set([userId]))).has(userId)) await this.#copies.forget(userId)
      return
    }
    throw new RemoteError(server, 'badAnswer', 'a list of devices changes faster than it can be fetched')
  }

  async #failed(userId: string, error: unknown): Promise<void> {
    const before = this.#retries.get(userId)
    before?.cancel()
    this.#retries.delete(userId)
    if (this.#closing.signal.aborted) return
    if (error instanceof RemoteRefusal && error.status < 500 && error.status !== 429) {
      // It gives no such lists, or not this one: clients then get what it answers to each query.
      await this.#copies.forget(userId)
      await this.#copies.announce(userId)
      return
    }
    if (!(error instanceof RemoteError || error instanceof RemoteRefusal)) {
      this.#environment.logger.error({ event: 'e2ee.device-list-not-fetched', userId, error })
    }
    const failures = (before?.failures ?? 0) + 1
    const { clock, random } = this.#environment
    const delayMs = Math.min(FIRST_DELAY_MS * 2 ** Math.min(failures - 1, 20), LAST_DELAY_MS)
    const cancel = clock.after(delayMs * (1 + random.number() / 5), () => this.#tryAgain(userId))
    this.#retries.set(userId, { failures, cancel })
  }

  #tryAgain(userId: string): void {
    this.#copies.isStale(userId).then(
      (isStale) => {
        if (isStale) this.soon(userId)
        else this.#retries.delete(userId)
      },
      (error: unknown) => this.#environment.logger.error({ event: 'e2ee.device-list-not-fetched', userId, error }),
    )
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
