import type { KeptEvent } from './event.ts'

/** The newest events of a room's timeline, hidden ones among them, so that most syncs and pages read no disk. */
export class RecentEvents {
  /** How many are loaded with the room; up to twice as many are kept. */
  static readonly SIZE = 128

  /** All from the first one on; their orders grow, but not by one where a gap was. */
  #events: KeptEvent[]
  readonly #byId = new Map<string, KeptEvent>()

  /** @param events without any left out between them, oldest first */
  constructor(events: readonly KeptEvent[]) {
    this.#events = [...events]
    for (const event of events) this.#byId.set(event.eventId, event)
  }

  /** The order of the oldest one; `undefined` when there is none. */
  get firstOrder(): number | undefined {
    return this.#events[0]?.order ?? undefined
  }

  find(eventId: string): KeptEvent | undefined {
    return this.#byId.get(eventId)
  }

  /** Events with `from <= order < to`, oldest first; only for a `from` that is not before the first. */
  between(from: number, to: number): readonly KeptEvent[] {
    return this.#events.slice(this.#indexOf(from), this.#indexOf(to))
  }

  /** The newest event that came by that stream position; `undefined` where it is not among these. */
  newestBy(position: number): KeptEvent | undefined {
    // What was fetched later has no position, and is no news.
    return this.#events.findLast((event) => event.position !== 0 && event.position <= position)
  }

  push(event: KeptEvent): void {
    this.#events.push(event)
    this.#byId.set(event.eventId, event)
    this.#trim()
  }

  /** An event that was fetched into a gap between others. */
  insert(event: KeptEvent): void {
    const first = this.firstOrder
    if (event.order === null || first === undefined || event.order < first) return
    this.#events.splice(this.#indexOf(event.order), 0, event)
    this.#byId.set(event.eventId, event)
    this.#trim()
  }

  /** Puts the redacted form in place, also where its content is shown as that which another event replaced. */
  replace(redacted: KeptEvent): void {
    this.#events = this.#events.map((event) => {
      const changed =
        event.eventId === redacted.eventId
          ? redacted
          : event.replaces?.eventId === redacted.eventId
            ? event.with({ replaces: { ...event.replaces, content: redacted.pdu.content } })
            : event
      if (changed !== event) this.#byId.set(changed.eventId, changed)
      return changed
    })
  }

  #trim(): void {
    if (this.#events.length < 2 * RecentEvents.SIZE) return
    for (const old of this.#events.slice(0, -RecentEvents.SIZE)) this.#byId.delete(old.eventId)
    this.#events = this.#events.slice(-RecentEvents.SIZE)
  }

  /** Where the first event of at least this order is. */
  #indexOf(order: number): number {
    let low = 0
    let high = this.#events.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#events[middle]?.order ?? 0) < order) low = middle + 1
      else high = middle
    }
    return low
  }
}
