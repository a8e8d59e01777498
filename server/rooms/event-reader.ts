import type { RoomVersionRules } from '../protocol/room-versions.ts'
import type { Reader } from '../store/index.ts'
import { KeptEvent } from './event.ts'
import {
  type EventRow,
  events,
  type OutlierRow,
  outliers,
  readEvent,
  replacedIn,
  replacement,
  type StateRow,
} from './store.ts'

const MAX_CACHED = 128

/** Reads a room's durable events, keeping those that were asked for last. */
export class EventReader {
  readonly #reader: Reader
  readonly #room: { readonly roomId: string; readonly rules: RoomVersionRules }
  readonly #cached = new Map<string, KeptEvent>()
  #forgotten = 0

  constructor(reader: Reader, room: { readonly roomId: string; readonly rules: RoomVersionRules }) {
    this.#reader = reader
    this.#room = room
  }

  /** An event of the room's timeline, or an outlier. */
  async find(eventId: string): Promise<KeptEvent | undefined> {
    const cached = this.#cached.get(eventId)
    if (cached && cached.order !== null) return cached
    const row = await this.#findRow(eventId)
    return row && (this.#cachedAs(row) ?? (await this.complete(row)))
  }

  /** Rows of the timeline as events, in their order. */
  async completeAll(rows: readonly (EventRow | StateRow)[]): Promise<readonly KeptEvent[]> {
    const found: KeptEvent[] = []
    for (const row of rows) found.push(this.#cachedAs(row) ?? (await this.complete(row)))
    return found
  }

  /** The row's event if it is cached, and not from when it had no place in the timeline. */
  #cachedAs(row: EventRow | StateRow | OutlierRow): KeptEvent | undefined {
    const cached = this.#cached.get(row.eventId)
    return cached?.order === ('order' in row ? row.order : null) ? cached : undefined
  }

  async complete(row: EventRow | StateRow | OutlierRow): Promise<KeptEvent> {
    const forgotten = this.#forgotten
    const read = readEvent(this.#room, row)
    const redaction = read.redactedBy === undefined ? undefined : await this.#findBare(read.redactedBy)
    const replaces = read.replaces === undefined ? undefined : await this.#replacement(row, read.replaces)
    const event = new KeptEvent({ ...read.facts, replaces, redactedBecause: redaction })
    // What was read before a redaction must not be kept after it.
    if (forgotten === this.#forgotten) this.keep(event)
    return event
  }

  keep(event: KeptEvent): void {
    this.#cached.delete(event.eventId)
    this.#cached.set(event.eventId, event)
    if (this.#cached.size > MAX_CACHED) {
      for (const oldest of this.#cached.keys()) {
        this.#cached.delete(oldest)
        break
      }
    }
  }

  /** An event was redacted: forget it, and those that show its content as the one that they replaced. */
  forget(eventId: string): void {
    this.#forgotten += 1
    this.#cached.delete(eventId)
    for (const event of this.#cached.values()) {
      if (event.replaces?.eventId === eventId) this.#cached.delete(event.eventId)
    }
  }

  /** Without the events that it names in turn, so that one read does not become a walk through history. */
  async #findBare(eventId: string): Promise<KeptEvent | undefined> {
    const cached = this.#cached.get(eventId)
    if (cached) return cached
    const row = await this.#findRow(eventId)
    return row && new KeptEvent(readEvent(this.#room, row).facts)
  }

  async #replacement(row: EventRow | StateRow | OutlierRow, eventId: string): Promise<KeptEvent['replaces']> {
    const known = replacedIn(row, eventId)
    if (known) return known
    const replaced = await this.#findBare(eventId)
    return replaced && replacement(replaced)
  }

  async #findRow(eventId: string): Promise<EventRow | OutlierRow | undefined> {
    const [row] = await this.#reader.range(events, {
      index: 'eventId',
      from: eventId,
      to: `${eventId}\u0000`,
      limit: 1,
    })
    return row ?? (await this.#reader.get(outliers, eventId))
  }
}
