/**
 * Mails a user what they have not read: one mail about all of it, some time after the first of it came, and ever more seldom as
 * long as they read nothing. Spec: client-server-api §POST /pushers/set, kind `email`.
 */
import type { Mail } from '../mail/index.ts'
import { RemoteError } from '../net/index.ts'
import type { Environment } from '../observe/environment.ts'
import { type Delivery, donePosition } from './delivery.ts'
import { type DigestEntry, digestEntryOf, mailAbout } from './mail-text.ts'
import type { Pusher } from './pusher.ts'
import type { FindMailAddress } from './pushers.ts'
import type { Notice, Recipient } from './recipient.ts'
import type { ProgressRow } from './store.ts'

/** Whoever has a client at hand reads it there meanwhile. */
const FIRST_DELAY_MS = 10 * 60_000
const SHORTEST_GAP_MS = 60 * 60_000
const LONGEST_GAP_MS = 24 * 60 * 60_000
const FIRST_PAUSE_MS = 5 * 60_000
const LONGEST_PAUSE_MS = 60 * 60_000
/** Tried for so long, then given up. */
const MAX_AGE_MS = 24 * 60 * 60_000
/** The newest of what waits; more than is shown. */
const MAX_WAITING = 200

export interface MailDeliveryParts {
  readonly environment: Environment
  readonly recipient: Recipient
  readonly mail: Mail
  readonly findMailAddress: FindMailAddress
  /** The address is not one of the user's any more. */
  readonly onAddressGone: (pusher: Pusher) => Promise<void>
  /** Where this server's pages are; `null`: nowhere. */
  readonly baseUrl: () => string | null
  /** Writes how far it has come, at once: a mail that comes twice annoys. */
  readonly saveProgress: () => Promise<void>
  readonly onProgress: () => void
}

export class MailDelivery implements Delivery {
  readonly #parts: MailDeliveryParts
  #pusher: Pusher
  #position: number
  #mailedTs: number | null
  #gapMs: number
  #lastTotal = 0
  #waiting: Notice[] = []
  #waitingSinceTs = 0
  #failures = 0
  #cancelTimer: (() => void) | undefined
  #running: Promise<void> | undefined
  #hasProgress = false
  readonly #closing = new AbortController()

  constructor(parts: MailDeliveryParts, pusher: Pusher, progress: ProgressRow | undefined) {
    this.#parts = parts
    this.#pusher = pusher
    this.#position = Math.max(progress?.position ?? 0, pusher.position)
    this.#mailedTs = progress?.mailedTs ?? null
    this.#gapMs = progress?.gapMs ?? SHORTEST_GAP_MS
  }

  get pusher(): Pusher {
    return this.#pusher
  }

  get hasProgress(): boolean {
    return this.#hasProgress
  }

  update(pusher: Pusher): void {
    this.#pusher = pusher
  }

  add(notices: readonly Notice[]): void {
    const news = notices.filter(({ position }) => position > this.#position)
    if (news.length === 0) return
    if (this.#waiting.length === 0) this.#waitingSinceTs = this.#parts.environment.clock.now()
    this.#waiting = [...this.#waiting, ...news].slice(-MAX_WAITING)
    this.#schedule(this.#dueInMs())
  }

  countsChanged(): void {
    this.#parts.recipient.total().then(
      (total) => {
        // They are here and read: the next mail may come soon again.
        if (total < this.#lastTotal) this.#gapMs = SHORTEST_GAP_MS
        this.#lastTotal = total
      },
      (error: unknown) => this.#warn('push.not-counted', error),
    )
  }

  progress(examined: number): ProgressRow {
    this.#hasProgress = false
    this.#position = Math.max(this.#position, donePosition(this.#waiting, examined))
    const { id } = this.#pusher
    return { id, position: this.#position, toldUnread: null, mailedTs: this.#mailedTs, gapMs: this.#gapMs }
  }

  #dueInMs(): number {
    const now = this.#parts.environment.clock.now()
    const afterLast = this.#mailedTs === null ? 0 : this.#mailedTs + this.#gapMs
    return Math.max(this.#waitingSinceTs + FIRST_DELAY_MS, afterLast) - now
  }

  #schedule(delayMs: number): void {
    if (this.#cancelTimer || this.#running || this.#closing.signal.aborted) return
    this.#cancelTimer = this.#parts.environment.clock.after(Math.max(0, delayMs), () => {
      this.#cancelTimer = undefined
      this.#running = this.#run().finally(() => {
        this.#running = undefined
        if (this.#waiting.length > 0) this.#schedule(this.#failures > 0 ? this.#pauseMs() : this.#dueInMs())
      })
    })
  }

  #pauseMs(): number {
    return Math.min(FIRST_PAUSE_MS * 2 ** (this.#failures - 1), LONGEST_PAUSE_MS)
  }

  /** Never rejects. */
  async #run(): Promise<void> {
    const about = this.#waiting
    try {
      const entries = await this.#entriesOf(about)
      if (entries.length > 0) await this.#mail(entries)
      this.#failures = 0
      this.#done(about)
      if (entries.length > 0) await this.#parts.saveProgress()
      else this.#parts.onProgress()
    } catch (error) {
      if (this.#closing.signal.aborted) return
      this.#failures += 1
      if (this.#failures === 1) this.#warn('push.not-mailed', error)
      const isTooOld = this.#parts.environment.clock.now() - this.#waitingSinceTs > MAX_AGE_MS
      const isRefused = error instanceof RemoteError && error.failure === 'refused'
      if (!isTooOld && !isRefused) return
      this.#failures = 0
      this.#done(about)
      this.#parts.onProgress()
    }
  }

  /** What is still unread of it. */
  async #entriesOf(notices: readonly Notice[]): Promise<readonly DigestEntry[]> {
    const entries: DigestEntry[] = []
    for (const notice of notices) {
      using open = await this.#parts.recipient.open(notice)
      if (open) entries.push(digestEntryOf(open, this.#pusher))
    }
    return entries
  }

  async #mail(entries: readonly DigestEntry[]): Promise<void> {
    const { environment, mail, findMailAddress, onAddressGone } = this.#parts
    const baseUrl = this.#parts.baseUrl()
    const { userId, unsubscribeKey, pushkey, lang } = this.#pusher
    const to = await findMailAddress(userId, pushkey)
    if (to === undefined) return onAddressGone(this.#pusher)
    const unsubscribeUrl =
      baseUrl === null || unsubscribeKey === null
        ? undefined
        : `${baseUrl}/_hearth/push/v1/unsubscribe?key=${unsubscribeKey}`
    const text = mailAbout({ entries, lang, serverName: environment.serverName, baseUrl, unsubscribeUrl })
    const headers = unsubscribeUrl === undefined ? {} : { unsubscribeUrl }
    await mail.send({ to, ...text, ...headers }, this.#closing.signal)
    const isFirst = this.#mailedTs === null
    this.#mailedTs = environment.clock.now()
    if (!isFirst) this.#gapMs = Math.min(this.#gapMs * 2, LONGEST_GAP_MS)
  }

  #done(notices: readonly Notice[]): void {
    const gone = new Set(notices)
    this.#waiting = this.#waiting.filter((notice) => !gone.has(notice))
    this.#waitingSinceTs = this.#parts.environment.clock.now()
    this.#hasProgress = true
  }

  #warn(event: string, error: unknown): void {
    const why = error instanceof Error ? error.message : String(error)
    this.#parts.environment.logger.warn({ event, userId: this.#pusher.userId, why })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort()
    this.#cancelTimer?.()
    await this.#running
  }
}
