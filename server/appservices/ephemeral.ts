import type { Appservice } from './appservice.ts'
import type { Interest } from './interest.ts'
import type { EphemeralSource, SourceReceipt } from './sources.ts'

/** What waits of each kind at most; typing and presence beyond are not told, since they are out of date soon anyway. */
const MAX_WAITING = 1_000
/** Events of one transaction. */
const MAX_EVENTS = 100

/**
 * Typing, receipts and presence that wait to be told. In memory: after a restart clients say anew who types and who is there.
 * Receipts are said once, so those that did not fit, or that a stop has cut short, are read from where they are kept.
 * Spec: application-service-api §Pushing ephemeral data.
 */
export class WaitingEphemeral {
  readonly #interest: Interest
  readonly #source: EphemeralSource
  readonly #typing = new Set<string>()
  readonly #receipts = new Map<string, SourceReceipt>()
  readonly #presence = new Set<string>()
  /** Receipts after this stream position are to be read when there is room again. */
  #missedSince: number | undefined
  readonly #service: Appservice
  readonly #unsubscribe: readonly (() => void)[]

  /**
   * @param since the stream position up to which the service has been told
   * @param wake called when something came
   */
  constructor(
    service: Appservice,
    interest: Interest,
    { source, since, wake }: { readonly source: EphemeralSource; readonly since: number; readonly wake: () => void },
  ) {
    this.#service = service
    this.#missedSince = since
    this.#interest = interest
    this.#source = source
    const { typing, receipts, presence } = source
    const note = <T>(waiting: Set<T>, value: T): void => {
      if (waiting.size >= MAX_WAITING) return
      waiting.add(value)
      wake()
    }
    this.#unsubscribe = [
      typing.onChange(({ roomId, isRefresh }) => {
        if (!isRefresh) note(this.#typing, roomId)
      }),
      presence.onChange(({ userId }) => note(this.#presence, userId)),
      receipts.onChange((receipt) => {
        if (this.#missedSince === undefined) {
          if (this.#receipts.size < MAX_WAITING) this.#note(receipt)
          else this.#miss(receipt.position - 1)
        }
        wake()
      }),
    ]
  }

  get isEmpty(): boolean {
    return this.#typing.size + this.#receipts.size + this.#presence.size === 0 && this.#missedSince === undefined
  }

  #note(receipt: SourceReceipt): void {
    const { roomId, userId, type, threadId } = receipt
    // Private ones are for their own user only.
    if (type === 'm.read.private' && !this.#service.ownsUser(userId)) return
    const key = JSON.stringify([roomId, userId, type, threadId])
    if ((this.#receipts.get(key)?.position ?? 0) <= receipt.position) this.#receipts.set(key, receipt)
  }

  #miss(since: number): void {
    this.#missedSince = Math.min(since, this.#missedSince ?? since)
  }

  /** Reads what was missed, as much of it as may wait. */
  async #catchUp(): Promise<void> {
    const since = this.#missedSince
    if (since === undefined || this.#receipts.size > 0) return
    // What comes while it is read is noted as ever.
    this.#missedSince = undefined
    try {
      const missed = await this.#source.receipts.changesSince(since, MAX_WAITING)
      for (const receipt of missed) this.#note(receipt)
      const last = missed.length < MAX_WAITING ? undefined : missed.at(-1)
      // Those of one commit may be on both sides of the cut, and are then told twice.
      if (last) this.#miss(Math.max(last.position - 1, since + 1))
    } catch (error) {
      this.#miss(since)
      throw error
    }
  }

  /** What of it the application service is to get now, as JSON texts. What it is given does not wait any longer. */
  async take(): Promise<readonly string[]> {
    const events: string[] = []
    for (const roomId of this.#typing) {
      if (events.length >= MAX_EVENTS) return events
      this.#typing.delete(roomId)
      if (!(await this.#interest.inRoom(roomId))) continue
      const content = { user_ids: this.#source.typing.inRoom(roomId) }
      events.push(JSON.stringify({ type: 'm.typing', room_id: roomId, content }))
    }
    await this.#catchUp()
    for (const [key, receipt] of this.#receipts) {
      if (events.length >= MAX_EVENTS) return events
      this.#receipts.delete(key)
      if (await this.#interest.inRoom(receipt.roomId)) events.push(receiptEvent(receipt))
    }
    for (const userId of this.#presence) {
      if (events.length >= MAX_EVENTS) return events
      this.#presence.delete(userId)
      const content = this.#source.presence.contentOf(userId)
      if (content && (await this.#interest.inUser(userId))) {
        events.push(JSON.stringify({ type: 'm.presence', sender: userId, content }))
      }
    }
    return events
  }

  [Symbol.dispose](): void {
    for (const end of this.#unsubscribe) end()
  }
}

function receiptEvent({ roomId, userId, type, threadId, eventId, ts }: SourceReceipt): string {
  const mark = threadId === null ? { ts } : { ts, thread_id: threadId }
  const content = Object.fromEntries([[eventId, { [type]: Object.fromEntries([[userId, mark]]) }]])
  return JSON.stringify({ type: 'm.receipt', room_id: roomId, content })
}
