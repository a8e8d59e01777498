/**
 * Tells a push gateway, for one pusher: one request at a time, in the order of the events. Spec: push-gateway-api §Homeserver
 * behaviour.
 */
import type { PushNotification } from '../../shared/api/push-gateway/push_notifier.ts'
import type { Environment } from '../observe/environment.ts'
import { type Delivery, donePosition, type Slots } from './delivery.ts'
import { countsNotification, notificationOf } from './notification.ts'
import type { Pusher } from './pusher.ts'
import type { Notice, Recipient } from './recipient.ts'
import type { ProgressRow } from './store.ts'

/** A gateway that was away so long gets no more than these, the newest. */
const MAX_WAITING = 50
/** What is older is no news any more; the count on the app's icon tells of it. */
const MAX_AGE_MS = 24 * 60 * 60_000
const FIRST_PAUSE_MS = 1_000
const LONGEST_PAUSE_MS = 30 * 60_000
/** Reading moves on event by event; the device hears of the end of it. */
const COUNTS_DELAY_MS = 1_000

/** @returns the push keys that the gateway rejects; throws where the request is to be tried again */
export type SendPush = (url: string, notification: PushNotification, signal: AbortSignal) => Promise<readonly string[]>

export interface HttpDeliveryParts {
  readonly environment: Environment
  readonly recipient: Recipient
  readonly send: SendPush
  readonly slots: Slots
  /** The gateway says that the push key is not valid. */
  readonly onRejected: (pusher: Pusher) => Promise<void>
  readonly onProgress: () => void
}

/**
 * The time before a request is tried again: doubles from 1 s to 30 min, and up to 20 % more at random.
 * @param failures failed tries in a row, 1 or more
 * @param random in [0, 1)
 */
export function pauseMs(failures: number, random: number): number {
  return Math.round(Math.min(FIRST_PAUSE_MS * 2 ** (failures - 1), LONGEST_PAUSE_MS) * (1 + 0.2 * random))
}

export class HttpDelivery implements Delivery {
  readonly #parts: HttpDeliveryParts
  readonly #closing = new AbortController()
  #pusher: Pusher
  #position: number
  #toldUnread: number | null
  #waiting: (Notice & { readonly addedTs: number })[] = []
  #areCountsDue = false
  #failures = 0
  #failingSinceTs = 0
  #cancelPause: (() => void) | undefined
  #cancelCounts: (() => void) | undefined
  #running: Promise<void> | undefined
  #hasProgress = false

  constructor(parts: HttpDeliveryParts, pusher: Pusher, progress: ProgressRow | undefined) {
    this.#parts = parts
    this.#pusher = pusher
    this.#position = Math.max(progress?.position ?? 0, pusher.position)
    this.#toldUnread = progress?.toldUnread ?? null
  }

  get pusher(): Pusher {
    return this.#pusher
  }

  get hasProgress(): boolean {
    return this.#hasProgress
  }

  update(pusher: Pusher): void {
    this.#pusher = pusher
    // It may lead elsewhere now, to a gateway that answers.
    this.#cancelPause?.()
    this.#cancelPause = undefined
    this.#wake()
  }

  add(notices: readonly Notice[]): void {
    const addedTs = this.#parts.environment.clock.now()
    const news = notices.filter(({ position }) => position > this.#position)
    if (news.length === 0) return
    this.#waiting = [...this.#waiting, ...news.map((notice) => ({ ...notice, addedTs }))]
      .toSorted((a, b) => a.position - b.position || a.order - b.order)
      .slice(-MAX_WAITING)
    this.#wake()
  }

  countsChanged(): void {
    this.#cancelCounts ??= this.#parts.environment.clock.after(COUNTS_DELAY_MS, () => {
      this.#cancelCounts = undefined
      this.#areCountsDue = true
      this.#wake()
    })
  }

  progress(examined: number): ProgressRow {
    this.#hasProgress = false
    this.#position = Math.max(this.#position, donePosition(this.#waiting, examined))
    const { id } = this.#pusher
    return { id, position: this.#position, toldUnread: this.#toldUnread, mailedTs: null, gapMs: null }
  }

  #wake(): void {
    if (this.#running || this.#cancelPause || this.#closing.signal.aborted) return
    if (this.#waiting.length === 0 && !this.#areCountsDue) return
    this.#running = this.#run().finally(() => {
      this.#running = undefined
      this.#wake()
    })
  }

  /** Sends all there is, or begins a pause. Never rejects. */
  async #run(): Promise<void> {
    const { environment, slots } = this.#parts
    try {
      while (!this.#closing.signal.aborted) {
        if (this.#waiting.length > 0) await slots.use(() => this.#sendFirst())
        else if (this.#areCountsDue) await slots.use(() => this.#sendCounts())
        else return
        this.#failures = 0
      }
    } catch (error) {
      if (this.#closing.signal.aborted) return
      this.#failures += 1
      const now = environment.clock.now()
      if (this.#failures === 1) {
        this.#failingSinceTs = now
        const why = error instanceof Error ? error.message : String(error)
        environment.logger.warn({ event: 'push.not-delivered', appId: this.#pusher.appId, why })
      }
      // The count alone is not worth trying for ever; the next event brings it along.
      if (now - this.#failingSinceTs > MAX_AGE_MS) this.#areCountsDue = false
      this.#cancelPause = environment.clock.after(pauseMs(this.#failures, environment.random.number()), () => {
        this.#cancelPause = undefined
        this.#wake()
      })
    }
  }

  async #sendFirst(): Promise<void> {
    const { environment, recipient } = this.#parts
    // The first time this looks at all rooms, and may find what came earlier.
    const unread = await recipient.total()
    const [notice] = this.#waiting
    if (!notice) return
    if (environment.clock.now() - notice.addedTs > MAX_AGE_MS) return this.#done(notice)
    using open = await recipient.open(notice)
    if (!open) {
      this.#done(notice)
      return this.countsChanged()
    }
    const { event, view } = open
    if (isTooOld(event.pdu.origin_server_ts, environment.clock.now())) return this.#done(notice)
    await this.#send(notificationOf({ pusher: this.#pusher, event, view, outcome: notice.outcome, unread }), unread)
    this.#done(notice)
  }

  async #sendCounts(): Promise<void> {
    const unread = await this.#parts.recipient.total()
    this.#areCountsDue = false
    // A device that was never told of a number knows it from its own sync.
    this.#toldUnread ??= unread
    if (unread === this.#toldUnread) return
    try {
      await this.#send(countsNotification(this.#pusher, unread), unread)
    } catch (error) {
      this.#areCountsDue = true
      throw error
    }
  }

  async #send(notification: PushNotification, unread: number): Promise<void> {
    const { url } = this.#pusher.data
    const rejected = await this.#parts.send(String(url), notification, this.#closing.signal)
    this.#toldUnread = unread
    this.#noteProgress()
    if (rejected.includes(this.#pusher.pushkey)) await this.#parts.onRejected(this.#pusher)
  }

  #done(notice: Notice): void {
    this.#waiting = this.#waiting.filter((other) => other !== notice)
    this.#noteProgress()
  }

  #noteProgress(): void {
    this.#hasProgress = true
    this.#parts.onProgress()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort()
    this.#cancelPause?.()
    this.#cancelCounts?.()
    await this.#running
  }
}

/** Sent long ago: after a long stop, or from a server that was away. */
const isTooOld = (originServerTs: number, now: number): boolean => now - originServerTs > MAX_AGE_MS
