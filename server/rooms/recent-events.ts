import type { KeptEvent } from './event.ts'

/** The newest events of a room's timeline, hidden ones among them, so that most syncs and pages read no disk. */
export class RecentEvents {
  /** How many are loaded with the room; up to twice as many are kept. */
  static readonly SIZE = 128

  #events: KeptEvent[]
  readonly #byId = new Map<string, KeptEvent>()

  /** @param events of consecutive orders, oldest first */
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

  at(order: number): KeptEvent | undefined {
    const first = this.firstOrder
    return first === undefined ? undefined : this.#events[order - first]
  }

  /** Events with `from <= order < to`, oldest first; only for a `from` that is not before the first. */
  between(from: number, to: number): readonly KeptEvent[] {
    const first = this.firstOrder
    if (first === undefined) return []
    return this.#events.slice(Math.max(from - first, 0), Math.max(to - first, 0))
  }

  push(event: KeptEvent): void {
    this.#events.push(event)
    this.#byId.set(event.eventId, event)
    if (this.#events.length < 2 * RecentEvents.SIZE) return
    for (const old of this.#events.slice(0, -RecentEvents.SIZE)) this.#byId.delete(old.eventId)
    this.#events = this.#events.slice(-RecentEvents.SIZE)
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
}
