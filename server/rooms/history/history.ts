/**
 * What a room's timeline lacks, fetched from other servers when somebody wants to read it: events from before this server came
 * into the room, and those that it missed while it was away. Spec: server-server-api §Backfilling and retrieving missing events.
 */
import { type IdentifiedPdu, type Json, referencedIds } from '../../protocol/pdu.ts'
import type { RoomsCore } from '../core.ts'
import type { KeptEvent } from '../event.ts'
import { type Gap, gapOps, MAX_MISSING, openGapBelow } from '../gaps.ts'
import type { OpenRoom } from '../open-room.ts'
import type { OpenRooms } from '../open-rooms.ts'
import { stateBefore, stateBeforeGap } from '../receive/authorize.ts'
import { fetchAuthEvents, fetchStateBefore } from '../receive/fetch-missing.ts'
import { groupOfState } from '../receive/imported-state.ts'
import { Inquiry, serversToAsk } from '../receive/inquiry.ts'
import { receiveOutliers, verifyAll } from '../receive/outliers.ts'
import { missingAuthEvents } from '../receive/references.ts'
import type { GroupedState } from '../resolve.ts'
import { islandFor } from './island.ts'
import { stageHistory } from './stage-history.ts'
import { type Stretch, stretchOf } from './stretch.ts'

/** As many as servers give at once. */
const PER_REQUEST = 100
const MAX_STARTS = 20
const MAX_ASKED = 4
/** For one request to other servers, and all that it leads to. */
const INQUIRY_MS = 30_000
/** Each costs a state of the room. */
const MAX_EDGES = 3
const MAX_AUTH_EVENTS = 100
/** After a request that brought nothing, a gap is left alone for so long, and twice as long each time. */
const FIRST_PAUSE_MS = 5_000
const MAX_PAUSE_MS = 60 * 60_000
const MAX_REMEMBERED = 1_000

interface Pause {
  readonly untilTs: number
  readonly lastMs: number
}

export class History {
  readonly #core: RoomsCore
  readonly #rooms: OpenRooms
  /** By room and gap: requests that are under way, for whoever else wants the same. */
  readonly #running = new Map<string, Promise<boolean>>()
  readonly #pauses = new Map<string, Pause>()
  readonly #closing = new AbortController()

  constructor(core: RoomsCore, rooms: OpenRooms) {
    this.#core = core
    this.#rooms = rooms
  }

  /**
   * Fetches events into the highest gap below a place of the timeline.
   * @param order of an event: the gap is below it
   * @returns whether any came; at once `false` where there is no such gap, or nobody had anything a moment ago
   */
  async fill(roomId: string, order: number): Promise<boolean> {
    using held = await this.#rooms.hold(roomId)
    const gap = held && openGapBelow(held.room.visible.gaps, order)
    if (!gap || !this.#core.peers || this.#closing.signal.aborted) return false
    return this.#once(JSON.stringify([roomId, gap.top]), () => this.#fill(roomId, gap))
  }

  /**
   * Fetches a single event of a room's past, with a gap above and below it.
   * @returns whether it is in the timeline now
   */
  async fetchEvent(roomId: string, eventId: string): Promise<boolean> {
    if (!this.#core.peers || this.#closing.signal.aborted) return false
    return this.#once(JSON.stringify([roomId, eventId]), () => this.#fetchEvent(roomId, eventId))
  }

  /** The event nearest to a time that another server of the room knows of. Nothing of it is checked. */
  async findByTime(
    roomId: string,
    wish: { readonly ts: number; readonly direction: 'b' | 'f' },
  ): Promise<{ readonly eventId: string; readonly originServerTs: number } | undefined> {
    using held = await this.#rooms.hold(roomId)
    if (!held) return undefined
    const inquiry = this.#inquire(held.room)
    return (await inquiry.first((peers, server) => peers.eventByTimestamp(server, { roomId, ...wish })))?.answer
  }

  /** Resolves when nothing is being fetched. */
  async settled(): Promise<void> {
    while (this.#running.size > 0) await Promise.allSettled([...this.#running.values()])
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await this.settled()
  }

  #once(key: string, work: () => Promise<boolean>): Promise<boolean> {
    const running = this.#running.get(key)
    if (running) return running
    const pause = this.#pauses.get(key)
    const { clock } = this.#core.environment
    if (pause && clock.now() < pause.untilTs) return Promise.resolve(false)
    const started = work()
      .then((hasGained) => {
        this.#pauses.delete(key)
        if (hasGained) return true
        const lastMs = Math.min((pause?.lastMs ?? FIRST_PAUSE_MS / 2) * 2, MAX_PAUSE_MS)
        this.#pauses.set(key, { untilTs: clock.now() + lastMs, lastMs })
        for (const oldest of this.#pauses.keys()) {
          if (this.#pauses.size <= MAX_REMEMBERED) break
          this.#pauses.delete(oldest)
        }
        return false
      })
      .finally(() => this.#running.delete(key))
    this.#running.set(key, started)
    return started
  }

  #inquire(room: OpenRoom): Inquiry {
    return new Inquiry(this.#core, serversToAsk(this.#core, room, [], MAX_ASKED), INQUIRY_MS, this.#closing.signal)
  }

  async #fill(roomId: string, gap: Gap): Promise<boolean> {
    using held = await this.#rooms.hold(roomId)
    if (!held) return false
    const { room } = held
    const inquiry = this.#inquire(room)
    const from = gap.missing.slice(0, MAX_STARTS)
    let answers = 0
    for (const server of inquiry.servers) {
      if (inquiry.isOver) return false
      const one = new Inquiry(this.#core, [server], INQUIRY_MS, this.#closing.signal)
      const got = await one.first((peers) => peers.backfill(server, { roomId, from, limit: PER_REQUEST }))
      if (got) answers += 1
      if (got && (await this.#take(room, gap, got.answer.slice(0, PER_REQUEST), server))) return true
    }
    return this.#closeIfOver(room, gap, answers > 0 && answers === inquiry.servers.length)
  }

  /** @returns whether anything came into the gap */
  async #take(room: OpenRoom, gap: Gap, jsons: readonly Json[], from: string): Promise<boolean> {
    const known = new Map<string, KeptEvent>()
    const unsigned = new Map<string, IdentifiedPdu>()
    const verified = await verifyAll(this.#core, room, jsons, { from }, known, unsigned)
    const given = new Map<string, IdentifiedPdu>([...verified])
    for (const [eventId, event] of known) if (event.order === null) given.set(eventId, event)
    const isPlaced = await placedAmong(room, given, gap.missing)
    const stretch = stretchOf(given, unsigned, gap.missing, isPlaced, MAX_EDGES)
    if (stretch.events.length === 0) return false
    const inquiry = new Inquiry(
      this.#core,
      serversToAsk(this.#core, room, [from], MAX_ASKED),
      INQUIRY_MS,
      this.#closing.signal,
    )
    const states = await this.#statesAt(room, stretch, inquiry)
    await this.#authorize(room, stretch, inquiry)
    return this.#place(room, gap, stretch.events, states)
  }

  /** The state before each edge that some server gives. */
  async #statesAt(
    room: OpenRoom,
    { edges }: Stretch,
    inquiry: Inquiry,
  ): Promise<ReadonlyMap<string, readonly string[]>> {
    const states = new Map<string, readonly string[]>()
    for (const eventId of edges) {
      const stateIds = await fetchStateBefore(this.#core, room, eventId, inquiry)
      if (stateIds) states.set(eventId, stateIds)
    }
    return states
  }

  /** Fetches what authorizes the events and is neither known nor among them. */
  async #authorize(room: OpenRoom, { events }: Stretch, inquiry: Inquiry): Promise<void> {
    const ids = new Set(events.map(({ eventId }) => eventId))
    const missing = new Set<string>()
    for (const { pdu } of events) {
      for (const eventId of await missingAuthEvents(room, pdu)) if (!ids.has(eventId)) missing.add(eventId)
    }
    if (missing.size === 0) return
    const jsons = await inquiry.events([...missing].slice(0, MAX_AUTH_EVENTS))
    await receiveOutliers(this.#core, room, jsons, inquiry.servers[0] ?? '')
  }

  /** Puts events into the gap, newest on top, as far as the state before each is known. */
  async #place(
    room: OpenRoom,
    { top }: Gap,
    events: readonly IdentifiedPdu[],
    states: ReadonlyMap<string, readonly string[]>,
  ): Promise<boolean> {
    const durable = await room.enter(async () => {
      const gap = room.head.gaps.find((one) => one.top === top)
      const fitting = gap ? await placeable(room, gap, events, states) : []
      if (!gap || fitting.length === 0) return []
      const shrunk = await shrink(room, gap, fitting)
      const gaps = room.head.gaps.flatMap((one) => (one === gap ? shrunk : one))
      const placed: Promise<KeptEvent>[] = []
      for (const [index, event] of fitting.entries()) {
        const before = await this.#stateBefore(room, event, states.get(event.eventId))
        const order = gap.next - fitting.length + 1 + index
        placed.push((await stageHistory(this.#core, room, { event, order, before, gaps })).durable)
      }
      return placed
    })
    await Promise.all(durable)
    return durable.length > 0
  }

  async #stateBefore(
    room: OpenRoom,
    { pdu }: IdentifiedPdu,
    given: readonly string[] | undefined,
  ): Promise<GroupedState> {
    const previous = referencedIds(pdu.prev_events)
    return given ? stateBeforeGap(room, previous, await groupOfState(room, given)) : stateBefore(room, previous)
  }

  /**
   * Ends a gap that is none any more: all that it lacked has come another way; or, once the room's beginning is known, or a part
   * of what was missed in between, nobody has the rest.
   * @param nobodyHasIt others were asked, and all of them answered, but not with that
   * @returns whether it did
   */
  async #closeIfOver(room: OpenRoom, { top }: Gap, nobodyHasIt: boolean): Promise<boolean> {
    return room.enter(async () => {
      await room.flushed()
      const { gaps, state } = room.head
      const gap = gaps.find((one) => one.top === top)
      if (!gap) return true
      const missing = await unplaced(room, gap.missing)
      const create = state.get('m.room.create')
      const isAtEnd =
        gap.floor === null
          ? create !== undefined && (await room.find(create.eventId))?.order != null
          : gap.next + 1 < gap.top
      if (missing.length > 0 && !(nobodyHasIt && isAtEnd)) return false
      const left = gaps.filter((one) => one !== gap)
      await this.#core.store.commit(() => gapOps(room.roomId, gaps, left))
      room.replaceGaps(left)
      return true
    })
  }

  async #fetchEvent(roomId: string, eventId: string): Promise<boolean> {
    using held = await this.#rooms.hold(roomId)
    if (!held || held.room.head.gaps.length === 0) return false
    const { room } = held
    const known = await room.find(eventId)
    if (known?.order != null) return true
    const inquiry = this.#inquire(room)
    const got = await inquiry.first((peers, server) => peers.event(server, eventId))
    const event =
      known ?? (got && (await verifyAll(this.#core, room, [got.answer], { from: got.server }, new Map())).get(eventId))
    if (!event || !(await fetchAuthEvents(this.#core, room, event, inquiry))) return false
    const isWhole = (await unplaced(room, referencedIds(event.pdu.prev_events))).length === 0
    const stateIds = isWhole ? undefined : await fetchStateBefore(this.#core, room, eventId, inquiry)
    if (!isWhole && !stateIds) return false
    const staged = await room.enter(async () => {
      if ((await room.find(eventId))?.order != null) return undefined
      const island = await islandFor(room, event, await unplaced(room, referencedIds(event.pdu.prev_events)))
      if (!island) return undefined
      const before = await this.#stateBefore(room, event, stateIds)
      return stageHistory(this.#core, room, { event, before, ...island })
    })
    await staged?.durable
    return (await room.find(eventId))?.order != null
  }
}

/** Of some events those without a place in the timeline. */
async function unplaced(room: OpenRoom, eventIds: Iterable<string>): Promise<readonly string[]> {
  const missing = new Set<string>()
  for (const eventId of eventIds) if ((await room.find(eventId))?.order == null) missing.add(eventId)
  return [...missing]
}

/** The events that a stretch is made of or meets, as far as they have a place. */
async function placedAmong(
  room: OpenRoom,
  given: ReadonlyMap<string, IdentifiedPdu>,
  missing: readonly string[],
): Promise<(eventId: string) => boolean> {
  const all = new Set(missing)
  for (const [eventId, { pdu }] of given) {
    all.add(eventId)
    for (const previous of referencedIds(pdu.prev_events)) all.add(previous)
  }
  const without = new Set(await unplaced(room, all))
  return (eventId) => all.has(eventId) && !without.has(eventId)
}

/** Those before which the state is known, or will be once the others are in their places; as many as there is room for. */
async function placeable(
  room: OpenRoom,
  gap: Gap,
  events: readonly IdentifiedPdu[],
  states: ReadonlyMap<string, readonly string[]>,
): Promise<readonly IdentifiedPdu[]> {
  const ids = new Set<string>()
  const fitting: IdentifiedPdu[] = []
  for (const event of events) {
    const { eventId, pdu } = event
    if ((await room.find(eventId))?.order != null) continue
    const lacking = (await unplaced(room, referencedIds(pdu.prev_events))).filter((previous) => !ids.has(previous))
    if (lacking.length > 0 && !states.has(eventId)) continue
    ids.add(eventId)
    fitting.push(event)
  }
  return gap.floor === null || fitting.length <= gap.next - gap.floor + 1 ? fitting : []
}

/** What is left of a gap once these events are in it; nothing where it is filled. */
async function shrink(room: OpenRoom, gap: Gap, events: readonly IdentifiedPdu[]): Promise<readonly Gap[]> {
  const ids = new Set(events.map(({ eventId }) => eventId))
  const behind = events.flatMap(({ pdu }) => referencedIds(pdu.prev_events))
  const missing = (await unplaced(room, [...behind, ...gap.missing])).filter((eventId) => !ids.has(eventId))
  const next = gap.next - events.length
  return missing.length === 0 ? [] : [{ ...gap, next, missing: missing.slice(0, MAX_MISSING) }]
}
