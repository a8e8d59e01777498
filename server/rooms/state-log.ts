import type { KeptEvent } from './event.ts'
import type { StateMap } from './state-map.ts'

interface Entry {
  readonly position: number
  readonly type: string
  readonly stateKey: string
}

const MAX_ENTRIES = 1_024

/** When pieces of a room's current state became current, so that a sync finds what changed without looking at all of it. */
export class StateLog {
  /** Oldest first. All changes after `#knownFrom` are in it. */
  #entries: Entry[] = []
  #knownFrom = 0
  /** Events that became current later than they came, as state resolution may have it; by event ID. */
  readonly #late = new Map<string, number>()

  /** A piece of state as read when the room was opened. Nothing is known of the changes before. */
  read(event: KeptEvent, since: number): void {
    if (since !== event.position) this.#late.set(event.eventId, since)
    this.#knownFrom = Math.max(this.#knownFrom, since)
  }

  add(position: number, type: string, stateKey: string, event: KeptEvent | undefined): void {
    if (event && event.position !== position) this.#late.set(event.eventId, position)
    this.#entries.push({ position, type, stateKey })
    if (this.#entries.length < 2 * MAX_ENTRIES) return
    const dropped = this.#entries.splice(0, MAX_ENTRIES).at(-1)
    this.#knownFrom = dropped?.position ?? this.#knownFrom
  }

  /** An event of the current state has got a place in the timeline: it is current since when it was. */
  keep(eventId: string, since: number): void {
    this.#late.set(eventId, since)
  }

  /** State events of `state` that became current after `from`, oldest first. */
  changedSince(state: StateMap, from: number): readonly KeptEvent[] {
    if (from < this.#knownFrom) {
      return [...state.all()]
        .filter((event) => this.since(event) > from)
        .sort((a, b) => this.since(a) - this.since(b) || (a.order ?? 0) - (b.order ?? 0))
    }
    const changed = new Set<KeptEvent>()
    for (let i = this.#entries.length - 1; i >= 0; i -= 1) {
      const entry = this.#entries[i]
      if (!entry || entry.position <= from) break
      const event = state.get(entry.type, entry.stateKey)
      // A view of an older moment may hold what was current before.
      if (event && this.since(event) > from) changed.add(event)
    }
    return [...changed].reverse()
  }

  /** The stream position at which an event of the current state became current. */
  since(event: KeptEvent): number {
    return this.#late.get(event.eventId) ?? event.position
  }
}
