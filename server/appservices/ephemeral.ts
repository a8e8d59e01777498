import type { Appservice } from './appservice.ts'
import type { Interest } from './interest.ts'
import type { EphemeralSource, SourceReceipt } from './sources.ts'

/** What waits of each kind at most; what is more is not told, since it is out of date soon anyway. */
const MAX_WAITING = 1_000
/** Events of one transaction. */
const MAX_EVENTS = 100

/**
 * Typing, receipts and presence that wait to be told. In memory: after a restart clients say anew what still holds.
 * Spec: application-service-api §Pushing ephemeral data.
 */
export class WaitingEphemeral {
  readonly #interest: Interest
  readonly #source: EphemeralSource
  readonly #typing = new Set<string>()
  readonly #receipts = new Map<string, SourceReceipt>()
  readonly #presence = new Set<string>()
  readonly #unsubscribe: readonly (() => void)[]

  /** @param wake called when something came */
  constructor(service: Appservice, interest: Interest, source: EphemeralSource, wake: () => void) {
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
        // Private ones are for their own user only.
        if (receipt.type === 'm.read.private' && !service.ownsUser(receipt.userId)) return
        if (this.#receipts.size >= MAX_WAITING) return
        const { roomId, userId, type, threadId } = receipt
        this.#receipts.set(JSON.stringify([roomId, userId, type, threadId]), receipt)
        wake()
      }),
    ]
  }

  get isEmpty(): boolean {
    return this.#typing.size + this.#receipts.size + this.#presence.size === 0
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
