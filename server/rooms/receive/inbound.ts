import { notFound } from '../../../shared/matrix/errors.ts'
import type { Json } from '../../protocol/pdu.ts'
import type { RoomsCore } from '../core.ts'
import type { OpenRooms } from '../open-rooms.ts'
import { waitingRooms } from '../store.ts'
import { type Reception, receive } from './receive.ts'
import { Slots } from './slots.ts'
import { WaitingEvents } from './waiting.ts'

/** An event as another server sent it. */
export interface Received {
  readonly roomId: string
  /** Read by `parseJson`. */
  readonly json: Json
  /** The server that sent it, which is asked first for what is missing. */
  readonly from: string
}

/** What has become of an event, and what will if it waits. */
export interface Taken {
  readonly reception: Reception
  readonly settled: Promise<Reception>
}

/** In so many rooms missing events are fetched at once, and in so many for the sake of one server's. */
const MAX_FETCHING = 16
const MAX_FETCHING_FOR_SERVER = 4
const MIN_PAUSE_MS = 1_000

interface Line {
  readonly waiting: WaitingEvents
  readonly release: () => void
  running: Promise<void> | undefined
  isWantedAgain: boolean
  stopTimer: (() => void) | undefined
  isEnded: boolean
}

/** Events of other servers on their way into the rooms: those of one room in a line, the rooms side by side. */
export class Inbound {
  readonly #core: RoomsCore
  readonly #rooms: OpenRooms
  readonly #slots = new Slots(MAX_FETCHING, MAX_FETCHING_FOR_SERVER)
  /** Rooms in which something waits. They are held open. */
  readonly #lines = new Map<string, Promise<Line>>()
  readonly #closing = new AbortController()

  constructor(core: RoomsCore, rooms: OpenRooms) {
    this.#core = core
    this.#rooms = rooms
  }

  /** Goes on with what a stop has interrupted. */
  async resume(): Promise<void> {
    for (const { roomId } of await this.#core.store.home.range(waitingRooms, { index: 'roomId' })) {
      if (this.#closing.signal.aborted) return
      const line = await this.#lineOf(roomId)
      if (line) this.#start(roomId, line)
    }
  }

  /**
   * Takes an event in. Where it lacks something that it builds on it is put aside, on disk, and what it lacks is fetched.
   * @throws MatrixError 404 M_NOT_FOUND for a room that this server does not know
   */
  async take({ roomId, json, from }: Received): Promise<Taken> {
    using held = await this.#rooms.hold(roomId)
    if (!held) throw notFound('This server does not know the room')
    const received = await receive(this.#core, held.room, json)
    if (received.outcome !== 'incomplete') {
      if (received.outcome !== 'dropped' && received.outcome !== 'known') await this.#wake(roomId, received.eventId)
      return { reception: received, settled: Promise.resolve(received) }
    }
    const { event, missing } = received
    let line = await this.#lineOf(roomId)
    while (line?.isEnded) line = await this.#lineOf(roomId)
    if (!line || !(await line.waiting.keep(received, from))) {
      const reception: Reception = {
        outcome: 'dropped',
        eventId: event.eventId,
        why: 'it builds on unknown events, and too many such events are waiting',
      }
      return { reception, settled: Promise.resolve(reception) }
    }
    const settled = line.waiting.settled(event.eventId)
    this.#start(roomId, line)
    return { reception: { outcome: 'waiting', eventId: event.eventId, missing }, settled }
  }

  /** As `take`, until the event is judged or what it lacks was asked for in vain. */
  async receive(received: Received): Promise<Reception> {
    return (await this.take(received)).settled
  }

  /** The room's members are known now: whatever waited for that goes on. */
  async membersKnown(roomId: string): Promise<void> {
    const line = await this.#lines.get(roomId)
    if (line) this.#start(roomId, line)
  }

  /** Resolves when nothing is being fetched. */
  async settled(): Promise<void> {
    for (let isBusy = true; isBusy; ) {
      isBusy = false
      for (const opening of this.#lines.values()) {
        const { running } = await opening
        if (!running) continue
        isBusy = true
        await running
      }
    }
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await this.settled()
    for (const opening of this.#lines.values()) this.#end(await opening)
    this.#lines.clear()
  }

  #lineOf(roomId: string): Promise<Line | undefined> {
    const known = this.#lines.get(roomId)
    if (known || this.#closing.signal.aborted) return known ?? Promise.resolve(undefined)
    const opening = this.#openLine(roomId)
    this.#lines.set(roomId, opening)
    opening.catch(() => this.#lines.delete(roomId))
    return opening
  }

  async #openLine(roomId: string): Promise<Line> {
    using held = await this.#rooms.hold(roomId)
    if (!held) throw notFound('This server does not know the room')
    const release = held.room.hold()
    try {
      const waiting = await WaitingEvents.open(this.#core, held.room, this.#slots, this.#closing.signal)
      return { waiting, release, running: undefined, isWantedAgain: false, stopTimer: undefined, isEnded: false }
    } catch (error) {
      release()
      throw error
    }
  }

  /** Something came into a room: what waited for it goes on. */
  async #wake(roomId: string, eventId: string): Promise<void> {
    const line = await this.#lines.get(roomId)
    if (!line) return
    line.waiting.note(eventId)
    this.#start(roomId, line)
  }

  #start(roomId: string, line: Line): void {
    line.isWantedAgain = true
    if (line.running || line.isEnded || this.#closing.signal.aborted) return
    line.stopTimer?.()
    line.running = this.#run(roomId, line).finally(() => {
      line.running = undefined
      if (this.#closing.signal.aborted) return
      // It may have been wanted while the last run was ending.
      if (line.isWantedAgain) this.#start(roomId, line)
      else this.#rest(roomId, line)
    })
  }

  async #run(roomId: string, line: Line): Promise<void> {
    try {
      while (line.isWantedAgain && !this.#closing.signal.aborted) {
        line.isWantedAgain = false
        await line.waiting.work()
      }
    } catch (error) {
      // Nothing is lost: the events are on disk, and it is tried again in a while.
      this.#core.environment.logger.warn({ event: 'rooms.inbound.failed', roomId, error: String(error) })
      line.waiting.release()
    }
  }

  /** Until something is due again, or for good. */
  #rest(roomId: string, line: Line): void {
    if (line.waiting.isEmpty) {
      this.#lines.delete(roomId)
      this.#end(line)
      return
    }
    const { clock } = this.#core.environment
    const pause = Math.max(line.waiting.dueTs - clock.now(), MIN_PAUSE_MS)
    line.stopTimer = clock.after(pause, () => this.#start(roomId, line))
  }

  #end(line: Line): void {
    line.isEnded = true
    line.stopTimer?.()
    line.waiting.release()
    line.release()
  }
}
