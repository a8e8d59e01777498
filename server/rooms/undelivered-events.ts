import { serverNameOf } from '../../shared/matrix/identifiers.ts'
import type { OwedPdus } from '../federation/index.ts'
import type { Environment } from '../observe/environment.ts'
import { type KeptEvent, redactedId } from './event.ts'

const MAX_EVENTS = 512
/** UTF-16 units of the events' JSON. */
const MAX_SIZE = 4 * 1024 * 1024
/** What a server did not fetch in this time is read from the disk, as it is by then: redacted, expired. */
const MAX_AGE_MS = 60_000

interface Recent {
  readonly position: number
  readonly event: KeptEvent
  readonly addedTs: number
  readonly servers: ReadonlySet<string>
}

/**
 * The events that other servers are to have, of the last minute, so that a message into a room with a thousand servers is not
 * read from the disk a thousand times. It knows all there is after a position that moves on.
 */
export class UndeliveredEvents {
  readonly #environment: Environment
  readonly #sets = new WeakMap<object, ReadonlySet<string>>()
  #events: Recent[] = []
  #size = 0
  /** All that is owed from after this position is here. */
  #floor: number
  #newest: number

  /** @param position the stream's, before anything is added */
  constructor(environment: Environment, position: number) {
    this.#environment = environment
    this.#floor = position
    this.#newest = position
  }

  /**
   * @param servers whom it concerns; one list may come with many events
   * @returns those who are to have it
   */
  add(position: number, event: KeptEvent, servers: Iterable<string>): readonly string[] {
    const { clock, serverName } = this.#environment
    const set = this.#sets.get(servers) ?? new Set(servers)
    this.#sets.set(servers, set)
    this.#newest = position
    const sender = serverNameOf(event.pdu.sender)
    const others = [...set].filter((server) => server !== serverName && server !== sender)
    if (others.length === 0) return others
    this.#events.push({ position, event, addedTs: clock.now(), servers: set })
    this.#size += event.json.length
    this.#dropOld()
    return others
  }

  /** What an event redacts is not given out from here any more. */
  redact(redaction: KeptEvent): void {
    if (redaction.pdu.type !== 'm.room.redaction') return
    const target = redactedId(redaction.pdu, redaction.rules)
    const found = this.#events.find(({ event }) => event.eventId === target)
    if (found) this.#dropUpTo(found.position)
  }

  /** As `OwedPdus.owedTo`; `undefined` where the disk must be asked. */
  since(destination: string, after: number, limit: number): Awaited<ReturnType<OwedPdus['owedTo']>> | undefined {
    this.#dropOld()
    if (after < this.#floor) return undefined
    const pdus: KeptEvent[] = []
    let upTo = after
    for (let i = this.#firstAfter(after); i < this.#events.length; i += 1) {
      const { position, event, servers } = this.#events[i] as Recent
      if (pdus.length >= limit && position !== upTo) return { pdus, upTo, isComplete: false }
      upTo = position
      if (servers.has(destination) && serverNameOf(event.pdu.sender) !== destination) pdus.push(event)
    }
    return { pdus, upTo: Math.max(after, this.#newest), isComplete: true }
  }

  #firstAfter(position: number): number {
    let low = 0
    let high = this.#events.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#events[middle] as Recent).position > position) high = middle
      else low = middle + 1
    }
    return low
  }

  #dropOld(): void {
    const oldestTs = this.#environment.clock.now() - MAX_AGE_MS
    for (let first = this.#events[0]; first; first = this.#events[0]) {
      if (first.addedTs > oldestTs && this.#events.length <= MAX_EVENTS && this.#size <= MAX_SIZE) return
      this.#dropUpTo(first.position)
    }
  }

  #dropUpTo(position: number): void {
    const kept = this.#events.slice(this.#firstAfter(position))
    for (const { event } of this.#events.slice(0, this.#events.length - kept.length)) this.#size -= event.json.length
    this.#events = kept
    this.#floor = Math.max(this.#floor, position)
  }
}
