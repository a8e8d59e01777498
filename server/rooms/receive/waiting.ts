/**
 * One room's events that lack something that they build on. They are on disk before their sender is told that they came; what
 * they lack is fetched behind the answer, one event after the other, and asked for again after a while where nobody had it.
 */
import { serverNameOf } from '../../../shared/matrix/identifiers.ts'
import { parseJson } from '../../protocol/json.ts'
import type { IdentifiedPdu, Pdu } from '../../protocol/pdu.ts'
import { type Op, put, remove } from '../../store/index.ts'
import type { RoomsCore } from '../core.ts'
import type { OpenRoom } from '../open-room.ts'
import { isGone } from '../retention.ts'
import { type WaitingEventRow, waitingEvents, waitingRooms } from '../store.ts'
import { Inquiry, serversToAsk } from './inquiry.ts'
import { acceptIfComplete, acceptWithFetching, type Incomplete, type Kept, type Reception } from './receive.ts'
import { missingOf } from './references.ts'
import type { Slots } from './slots.ts'
import { keptJson } from './verify.ts'

/** So many events of one room may wait, and so many that came from one server. */
const MAX_WAITING = 1_000
const MAX_WAITING_OF_SERVER = 250
/** Servers that are asked for what one event lacks, and for how long. */
const MAX_ASKED = 4
const INQUIRY_MS = 60_000
/** Mostly the other server has not heard yet that we are in the room. */
const FIRST_RETRY_MS = 5_000
/** Sent again after so long, an event is tried again at once. */
const MIN_RETRY_MS = 5_000
/** After so many tries, about three hours, the event is given up: what comes after it will bring it back. */
const MAX_TRIES = 12

interface Entry {
  readonly event: IdentifiedPdu
  readonly row: WaitingEventRow
  /** The first thing that it was seen to lack. */
  readonly lacks: string | undefined
  readonly triedTs: number
}

type Waiter = (reception: Reception) => void

export class WaitingEvents {
  readonly #core: RoomsCore
  readonly #room: OpenRoom
  readonly #slots: Slots
  readonly #closing: AbortSignal
  /** Oldest first. */
  readonly #entries = new Map<string, Entry>()
  readonly #waiters = new Map<string, Waiter[]>()
  /** Those that are on their way to the disk. */
  readonly #keeping = new Map<string, Promise<void>>()
  /** Events that came since they were last gone through; `undefined`: whichever may have. */
  #news: Set<string> | undefined

  private constructor(core: RoomsCore, room: OpenRoom, slots: Slots, closing: AbortSignal) {
    this.#closing = closing
    this.#core = core
    this.#room = room
    this.#slots = slots
  }

  /** @param closing ends what is being fetched; the events wait for the next start */
  static async open(core: RoomsCore, room: OpenRoom, slots: Slots, closing: AbortSignal): Promise<WaitingEvents> {
    const waiting = new WaitingEvents(core, room, slots, closing)
    for (const row of await room.lease.range(waitingEvents, { index: 'receivedTs' })) {
      // It was verified before it was put aside.
      const event = { eventId: row.eventId, pdu: parseJson(row.json) as unknown as Pdu }
      waiting.#entries.set(row.eventId, { event, row, lacks: undefined, triedTs: Number.NEGATIVE_INFINITY })
    }
    return waiting
  }

  get isEmpty(): boolean {
    return this.#entries.size === 0
  }

  /** When something is to be tried again. */
  get dueTs(): number {
    let dueTs = Number.POSITIVE_INFINITY
    for (const { row } of this.#entries.values()) dueTs = Math.min(dueTs, row.dueTs)
    return dueTs
  }

  /** Puts an event aside. @returns whether there was place for it; then it is durable */
  async keep({ event, missing }: Incomplete, from: string): Promise<boolean> {
    const { eventId } = event
    const now = this.#core.environment.clock.now()
    const before = this.#entries.get(eventId)
    if (before) {
      const isDue = now - before.triedTs >= MIN_RETRY_MS
      if (isDue) this.#entries.set(eventId, { ...before, row: { ...before.row, dueTs: now } })
      await this.#keeping.get(eventId)
      return true
    }
    if (!this.#hasPlaceFor(from)) return false
    const row = { eventId, receivedTs: now, from, json: keptJson(event), tries: 0, dueTs: now }
    const entry = { event, row, lacks: missing[0], triedTs: Number.NEGATIVE_INFINITY }
    this.#entries.set(eventId, entry)
    try {
      const { roomId } = this.#room
      const keeping = this.#commit([put(waitingEvents, row, roomId), put(waitingRooms, { roomId })])
      this.#keeping.set(eventId, keeping)
      await keeping
    } catch (error) {
      this.#entries.delete(eventId)
      throw error
    } finally {
      this.#keeping.delete(eventId)
    }
    const { logger } = this.#core.environment
    logger.info({ event: 'pdu.waiting', roomId: this.#room.roomId, eventId, missing: missing.length })
    return true
  }

  #hasPlaceFor(from: string): boolean {
    if (this.#entries.size >= MAX_WAITING) return false
    let count = 0
    for (const { row } of this.#entries.values()) if (row.from === from) count += 1
    return count < MAX_WAITING_OF_SERVER
  }

  /** What becomes of a waiting event: told once it is judged, or what it lacks was asked for in vain. */
  settled(eventId: string): Promise<Reception> {
    const { promise, resolve } = Promise.withResolvers<Reception>()
    this.#waiters.set(eventId, [...(this.#waiters.get(eventId) ?? []), resolve])
    return promise
  }

  /** An event came into the room. */
  note(eventId: string): void {
    this.#news?.add(eventId)
  }

  /** Goes through all of them until there is nothing more to be done for now. Not to be called again before it is over. */
  async work(): Promise<void> {
    let news = this.#takeNews()
    for (let isMoving = true; isMoving && !this.#closing.aborted; ) {
      isMoving = false
      for (const entry of [...this.#entries.values()]) {
        if (this.#closing.aborted) return
        if (await this.#tryOne(entry, news)) isMoving = true
      }
      news = undefined
    }
    if (this.isEmpty) await this.#commit([remove(waitingRooms, this.#room.roomId)])
  }

  /** Nobody waits for an answer any more. */
  release(): void {
    for (const [eventId, waiters] of this.#waiters) {
      for (const tell of waiters) tell({ outcome: 'waiting', eventId, missing: [] })
    }
    this.#waiters.clear()
  }

  #takeNews(): ReadonlySet<string> | undefined {
    const news = this.#news
    this.#news = new Set()
    return news
  }

  /**
   * @param news the events that may have brought what it lacks; `undefined`: any
   * @returns whether it went on its way
   */
  async #tryOne(entry: Entry, news: ReadonlySet<string> | undefined): Promise<boolean> {
    const { event, row, lacks } = entry
    const { eventId } = event
    const room = this.#room
    if (this.#entries.get(eventId) !== entry) return false
    const isDue = row.dueTs <= this.#core.environment.clock.now()
    if (!isDue && lacks !== undefined && !(news ? news.has(lacks) : await this.#isKnown(lacks))) {
      this.#tell(eventId, { outcome: 'waiting', eventId, missing: [lacks] })
      return false
    }
    // It may be on its way to the disk still; its row must be there before it is taken away.
    await this.#keeping.get(eventId)?.catch(() => undefined)
    const ops = (): readonly Op[] => [remove(waitingEvents, eventId, room.roomId)]
    const kept =
      (await this.#byNow(eventId)) ??
      (await acceptIfComplete(this.#core, room, event, { ops })) ??
      (isDue ? await this.#fetch(entry, ops) : undefined)
    if (kept) {
      // What was known before has not taken its row along.
      await this.#commit(ops())
      this.#entries.delete(eventId)
      this.#tell(eventId, kept)
      return true
    }
    if (this.#closing.aborted) return false
    const { previous, auth } = await missingOf(room, event.pdu)
    const missing = [...auth, ...previous]
    if (isDue) await this.#putOff(entry, missing)
    else {
      this.#entries.set(eventId, { ...entry, lacks: missing[0] })
      this.#tell(eventId, { outcome: 'waiting', eventId, missing })
    }
    return false
  }

  /** What became of it while something else was fetched. */
  async #byNow(eventId: string): Promise<Kept | undefined> {
    const found = await this.#room.find(eventId)
    if (found?.order == null) return undefined
    const durable = await this.#room.durable(found)
    return { outcome: durable.isRejected ? 'rejected' : durable.isSoftFailed ? 'softFailed' : 'accepted', eventId }
  }

  async #isKnown(eventId: string): Promise<boolean> {
    return (await this.#room.find(eventId)) !== undefined
  }

  async #fetch({ event, row }: Entry, ops: () => readonly Op[]): Promise<Kept | undefined> {
    return this.#slots.use(row.from, async () => {
      const servers = serversToAsk(this.#core, this.#room, [row.from, serverNameOf(event.pdu.sender)], MAX_ASKED)
      if (servers.length === 0) return undefined
      const inquiry = new Inquiry(this.#core, servers, INQUIRY_MS, this.#closing)
      return acceptWithFetching(this.#core, this.#room, event, inquiry, { ops })
    })
  }

  async #putOff({ event, row }: Entry, missing: readonly string[]): Promise<void> {
    const { eventId } = event
    const { logger, clock } = this.#core.environment
    const tries = row.tries + 1
    if (tries >= MAX_TRIES || this.#isOver(event)) {
      const { roomId } = this.#room
      logger.info({ event: 'pdu.given_up', roomId, eventId, missing: missing.length })
      await this.#core.store.commit((position) => [
        remove(waitingEvents, eventId, roomId),
        this.#core.erasures.note(roomId, position),
      ])
      this.#entries.delete(eventId)
      this.#tell(eventId, { outcome: 'dropped', eventId, why: 'what it builds on is not to be had' })
      return
    }
    const triedTs = clock.now()
    const next = { ...row, tries, dueTs: triedTs + FIRST_RETRY_MS * 2 ** row.tries }
    await this.#commit([put(waitingEvents, next, this.#room.roomId)])
    this.#entries.set(eventId, { event, row: next, lacks: missing[0], triedTs })
    this.#tell(eventId, { outcome: 'waiting', eventId, missing })
  }

  /** Too old to be shown by now: `purge.ts` has taken its row away, or is about to. */
  #isOver({ pdu }: IdentifiedPdu): boolean {
    const { roomId, head } = this.#room
    return isGone(this.#core.retention.boundsOf(roomId, head.state), { pdu, order: Number.POSITIVE_INFINITY })
  }

  #tell(eventId: string, reception: Reception): void {
    for (const tell of this.#waiters.get(eventId) ?? []) tell(reception)
    this.#waiters.delete(eventId)
  }

  async #commit(ops: readonly Op[]): Promise<void> {
    await this.#core.store.commit(() => ops)
  }
}
