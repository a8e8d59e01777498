/**
 * Wakes waiting syncs: each is woken by what concerns its user, and by nothing else.
 */
import type { Clock } from '../observe/environment.ts'

/** A device may hold so many syncs open; one more and the oldest is answered. */
const MAX_WATCHES_OF_DEVICE = 5

/** Why a sync goes on: something happened, its time is over, the client or server goes, or a newer sync took its place. */
export type WakeReason = 'news' | 'timeout' | 'aborted' | 'displaced'

/** What was done since the start; for metrics and tests. */
export interface NotifierStats {
  /** Syncs that began to wait. */
  waits: number
  /** Waits that ended because of news. */
  wakes: number
}

/**
 * One sync's ear. It listens from the moment it is made, so what happens while the sync is still reading is not missed:
 * `wait` then returns at once.
 */
export class Watch implements Disposable {
  readonly userId: string
  readonly deviceId: string
  readonly #notifier: Notifier
  #hasNews = false
  #isDisplaced = false
  #wake: ((reason: WakeReason) => void) | undefined

  constructor(notifier: Notifier, userId: string, deviceId: string) {
    this.#notifier = notifier
    this.userId = userId
    this.deviceId = deviceId
  }

  /** From here on only new news count; to be called before reading. */
  reset(): void {
    this.#hasNews = false
  }

  /**
   * Resolves when there is news, the time is over, or it is pointless to wait on. News of one turn of the event loop wake once.
   * @param timeoutMs more than 0
   */
  wait(timeoutMs: number, signal: AbortSignal): Promise<WakeReason> {
    if (signal.aborted) return Promise.resolve('aborted')
    if (this.#isDisplaced) return Promise.resolve('displaced')
    if (this.#hasNews) return Promise.resolve('news')
    this.#notifier.stats.waits += 1
    return new Promise((resolve) => {
      const cancel = this.#notifier.clock.after(timeoutMs, () => this.#wake?.('timeout'))
      const onAbort = (): void => this.#wake?.('aborted')
      signal.addEventListener('abort', onAbort, { once: true })
      this.#wake = (reason) => {
        this.#wake = undefined
        cancel()
        signal.removeEventListener('abort', onAbort)
        if (reason === 'news') this.#notifier.stats.wakes += 1
        resolve(reason)
      }
    })
  }

  tell(): void {
    if (this.#hasNews) return
    this.#hasNews = true
    if (this.#wake) setImmediate(() => this.#wake?.('news'))
  }

  displace(): void {
    this.#isDisplaced = true
    this.#wake?.('displaced')
  }

  [Symbol.dispose](): void {
    this.#notifier.forget(this)
  }
}

export class Notifier {
  readonly clock: Clock
  readonly stats: NotifierStats = { waits: 0, wakes: 0 }
  /** By user, in the order in which they came. */
  readonly #watches = new Map<string, Set<Watch>>()

  constructor(clock: Clock) {
    this.clock = clock
  }

  watch(userId: string, deviceId: string): Watch {
    const watch = new Watch(this, userId, deviceId)
    const watches = this.#watches.get(userId) ?? new Set()
    this.#watches.set(userId, watches)
    const sameDevice = [...watches].filter((other) => other.deviceId === deviceId)
    if (sameDevice.length >= MAX_WATCHES_OF_DEVICE) sameDevice[0]?.displace()
    watches.add(watch)
    return watch
  }

  forget(watch: Watch): void {
    const watches = this.#watches.get(watch.userId)
    watches?.delete(watch)
    if (watches?.size === 0) this.#watches.delete(watch.userId)
  }

  /** Something happened for this user. */
  tell(userId: string): void {
    const watches = this.#watches.get(userId)
    if (watches) for (const watch of watches) watch.tell()
  }

  /** Something happened for one device of the user. */
  tellDevice(userId: string, deviceId: string): void {
    for (const watch of this.#watches.get(userId) ?? []) if (watch.deviceId === deviceId) watch.tell()
  }

  /** Something happened for all of these; costs as much as the smaller of them and those who listen. */
  tellAll(userIds: Iterable<string>): void {
    if (userIds instanceof Set && userIds.size > this.#watches.size) {
      for (const userId of this.#watches.keys()) if (userIds.has(userId)) this.tell(userId)
      return
    }
    for (const userId of userIds) this.tell(userId)
  }

  /** Users who have a sync open. */
  listeners(): readonly string[] {
    return [...this.#watches.keys()]
  }

  /** How many these are. */
  get listening(): number {
    return this.#watches.size
  }
}
