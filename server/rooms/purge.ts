/** Takes expired messages off the disk, in the background and in slices. See `retention.ts` for which. */
import { notFound } from '../../shared/matrix/errors.ts'
import type { NamingEvent } from '../media/index.ts'
import { parseJson } from '../protocol/json.ts'
import type { Pdu } from '../protocol/pdu.ts'
import { redact } from '../protocol/redaction.ts'
import { type Op, put, remove } from '../store/index.ts'
import type { RoomsCore } from './core.ts'
import type { KeptEvent } from './event.ts'
import type { OpenRoom } from './open-room.ts'
import type { OpenRooms } from './open-rooms.ts'
import { aggregates, repliers } from './relation-store.ts'
import { isGone, type PurgeRow, purges, roomPolicies } from './retention.ts'
import { type EventRow, eventRow, events, outlierRow, outliers, waitingEvents } from './store.ts'

/** Rows read, and purged, in one commit: the room's senders wait that long. */
const SLICE = 64
/** What has expired is hidden at once; the disk may lag behind by this much. */
const EVERY_MS = 60 * 60_000

/**
 * What stays of a purged event: its place in the DAG, without its content. So whatever is built on it can be judged, and the
 * event is known when another server offers it again.
 */
export const purgedForm = (event: KeptEvent): KeptEvent =>
  event.with({ json: JSON.stringify(redact(event.pdu, event.rules)), isPurged: true, local: undefined })

/** An event as `media/` looks at it. */
export const namingIn = ({ pdu, json }: KeptEvent): NamingEvent => ({ sender: pdu.sender, json })

/** An index of times, and the fields of `PurgeRow` that say how far it was worked off. */
interface Track {
  readonly index: 'ts' | 'unseenTs'
  readonly done: 'doneTs' | 'unseenDoneTs'
  readonly next: 'nextTs' | 'unseenNextTs'
}
const TRACKS: readonly Track[] = [
  { index: 'ts', done: 'doneTs', next: 'nextTs' },
  { index: 'unseenTs', done: 'unseenDoneTs', next: 'unseenNextTs' },
]

/** Runs at the start, each hour, and when lifetimes change. */
export class Purge {
  readonly #core: RoomsCore
  readonly #rooms: OpenRooms
  #stopTimer: (() => void) | undefined
  #running: Promise<void> | undefined
  #isWantedAgain = false
  #isClosed = false

  constructor(core: RoomsCore, rooms: OpenRooms) {
    this.#core = core
    this.#rooms = rooms
    core.retention.onSettings(() => this.start())
  }

  /** Begins a run, or has the one under way begin anew. */
  start(): void {
    if (this.#isClosed) return
    this.#isWantedAgain = true
    this.#running ??= this.#run().then(() => {
      this.#running = undefined
      // It may have been wanted while the last run was ending.
      if (this.#isWantedAgain) this.start()
    })
  }

  /**
   * Purges all messages from before an event. They are hidden when this resolves, and purged soon.
   * @throws MatrixError 404 M_NOT_FOUND
   */
  async purgeHistory(roomId: string, eventId: string): Promise<void> {
    await this.#rooms.use(roomId, (room) =>
      room.enter(async () => {
        await room.flushed()
        const order = (await room.find(eventId))?.order
        if (order == null) throw notFound('There is no such event in the room')
        const row = await this.#rowOf(roomId)
        if (row.beforeOrder !== null && row.beforeOrder >= order) return
        const fromOrder = row.fromOrder ?? row.beforeOrder ?? room.head.earliestOrder
        await this.#core.store.commit(() => [put(purges, { ...row, beforeOrder: order, fromOrder })])
        this.#core.retention.purgedBefore(roomId, order)
      }),
    )
    this.start()
  }

  async settled(): Promise<void> {
    while (this.#running) await this.#running
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#stopTimer?.()
    await this.settled()
  }

  async #run(): Promise<void> {
    const { clock, logger } = this.#core.environment
    while (this.#isWantedAgain && !this.#isClosed) {
      this.#isWantedAgain = false
      try {
        await this.#purgeAll()
      } catch (error) {
        // Nothing is lost: it is tried again in an hour, and at the next start.
        logger.warn({ event: 'rooms.purge.failed', error: String(error) })
      }
    }
    this.#stopTimer?.()
    if (!this.#isClosed) this.#stopTimer = clock.after(EVERY_MS, () => this.start())
  }

  async #purgeAll(): Promise<void> {
    const { store, retention, changes } = this.#core
    const policies = await store.home.range(roomPolicies, { index: 'roomId' })
    const lifetimes = new Map(policies.map(({ roomId, maxMs }) => [roomId, maxMs]))
    const marks = await store.home.range(purges, { index: 'roomId' })
    const wanted = new Set(lifetimes.keys())
    for (const { roomId, fromOrder } of marks) if (fromOrder !== null) wanted.add(roomId)
    if (retention.isForAllRooms) for (const roomId of changes.keys()) wanted.add(roomId)
    for (const roomId of wanted) {
      if (this.#isClosed) return
      await this.#purgeRoom(roomId, retention.cutoff(lifetimes.get(roomId)))
    }
  }

  async #rowOf(roomId: string): Promise<PurgeRow> {
    const row = await this.#core.store.home.get(purges, roomId)
    const none = { doneTs: 0, nextTs: 0, unseenDoneTs: 0, unseenNextTs: 0, beforeOrder: null, fromOrder: null }
    return { ...none, ...row, roomId }
  }

  async #purgeRoom(roomId: string, cutoff: number | undefined): Promise<void> {
    let row = await this.#rowOf(roomId)
    if (cutoff !== undefined && TRACKS.some(({ done }) => row[done] > cutoff)) {
      // Messages live longer than before: what comes in from that time must be found when its own time is over.
      for (const { done, next } of TRACKS) if (row[done] > cutoff) row = { ...row, [done]: cutoff, [next]: cutoff }
      await this.#core.store.commit(() => [put(purges, row)])
    }
    const due = cutoff === undefined ? [] : TRACKS.filter(({ next }) => row[next] < cutoff)
    if (due.length === 0 && row.fromOrder === null) return
    using held = await this.#rooms.hold(roomId)
    if (!held) return
    await this.#purgeByOrder(held.room)
    if (cutoff === undefined) return
    for (const track of due) await this.#purgeByTime(held.room, cutoff, track)
    if (due.length > 0) await this.#purgeBeside(held.room, cutoff)
  }

  /** What an administrator has asked for. */
  async #purgeByOrder(room: OpenRoom): Promise<void> {
    for (let isDone = false; !isDone && !this.#isClosed; ) {
      isDone = await this.#slice(room, async (row) => {
        const { fromOrder, beforeOrder } = row
        if (fromOrder === null || beforeOrder === null) return undefined
        const range = { index: 'order', from: fromOrder, to: beforeOrder, limit: SLICE }
        const rows = await room.lease.range(events, range)
        const last = rows.length === SLICE ? rows.at(-1) : undefined
        return { rows, next: { ...row, fromOrder: last ? last.order + 1 : null }, isDone: !last }
      })
    }
  }

  async #purgeByTime(room: OpenRoom, cutoff: number, { index, done, next: nextField }: Track): Promise<void> {
    /** Rows of one time come in the order of their keys, and there may be more of them than a slice holds. */
    let after: { readonly ts: number; readonly order: number } | undefined
    let limit = SLICE
    for (let isDone = false; !isDone && !this.#isClosed; ) {
      isDone = await this.#slice(room, async (row) => {
        const from = after?.ts ?? row[done]
        if (from >= cutoff) return { rows: [], next: { ...row, [done]: cutoff, [nextField]: cutoff }, isDone: true }
        const read = await room.lease.range(events, { index, from, to: cutoff, limit })
        const rows = read.filter(({ [index]: ts, order }) => !after || ts !== after.ts || order > after.order)
        const last = read.at(-1)
        if (!last || read.length < limit) {
          const [next] = await room.lease.range(events, { index, from: cutoff, limit: 1 })
          const nextTs = next?.[index] ?? this.#core.environment.clock.now()
          return { rows, next: { ...row, [done]: cutoff, [nextField]: nextTs }, isDone: true }
        }
        if (rows.length === 0) {
          limit *= 2
          return { rows, next: row, isDone: false }
        }
        const { [index]: ts, order } = last
        if (ts !== after?.ts) limit = SLICE
        after = { ts: ts ?? from, order }
        return { rows, next: { ...row, [done]: after.ts }, isDone: false }
      })
    }
  }

  /** Messages that have no place in the timeline: they wait for others, or came with what was fetched. */
  async #purgeBeside(room: OpenRoom, cutoff: number): Promise<void> {
    const { store, erasures } = this.#core
    const { lease, roomId } = room
    const isOver = (json: string): boolean => {
      // Nearly all are state, of which there may be a great many.
      if (json.includes('"state_key":')) return false
      return Number((parseJson(json) as unknown as Pdu).origin_server_ts) < cutoff
    }
    await room.enter(async () => {
      await room.flushed()
      const gone: KeptEvent[] = []
      for (const row of await lease.range(outliers, { index: 'eventId' })) {
        if (!isOver(row.json)) continue
        const event = await room.reader.complete(row)
        if (!event.isPurged) gone.push(purgedForm(event))
      }
      const waiting = (await lease.range(waitingEvents, { index: 'receivedTs' })).filter(({ json }) => isOver(json))
      if (gone.length + waiting.length === 0) return
      await store.commit((position) => [
        ...gone.map((event) => put(outliers, outlierRow(event), roomId)),
        ...waiting.map(({ eventId }) => remove(waitingEvents, eventId, roomId)),
        erasures.note(roomId, position),
      ])
      for (const { eventId } of gone) room.reader.forget(eventId)
    })
  }

  /** Purges the messages among some rows, in one commit with how far it has come. @returns whether it is done */
  async #slice(
    room: OpenRoom,
    read: (
      row: PurgeRow,
    ) => Promise<{ readonly rows: readonly EventRow[]; readonly next: PurgeRow; readonly isDone: boolean } | undefined>,
  ): Promise<boolean> {
    const { store, retention, erasures, media } = this.#core
    return room.enter(async () => {
      // Nothing that writes these rows may be under way.
      await room.flushed()
      const slice = await read(await this.#rowOf(room.roomId))
      if (!slice) return true
      const bounds = retention.boundsOf(room.roomId, room.head.state)
      const gone: KeptEvent[] = []
      const originals: NamingEvent[] = []
      const ops: Op[] = []
      for (const row of slice.rows) {
        const event = await room.reader.complete(row)
        if (event.isPurged || event.isWithheld || !isGone(bounds, event)) continue
        const purged = purgedForm(event)
        gone.push(purged)
        originals.push(namingIn(event))
        ops.push(put(events, eventRow(purged, row.isHead), room.roomId), ...(await countsOf(room, event)))
      }
      const references = media?.change([], originals)
      try {
        await store.commit((position) => [
          ...ops,
          put(purges, slice.next),
          ...(references?.ops() ?? []),
          ...(gone.length > 0 ? [erasures.note(room.roomId, position)] : []),
        ])
      } catch (error) {
        references?.undo()
        throw error
      }
      for (const event of gone) {
        room.reader.forget(event.eventId)
        room.recent.replace(event)
      }
      return slice.isDone
    })
  }
}

/** Removes what was counted of an event's children: nobody sees the event any more. */
async function countsOf({ lease, roomId }: OpenRoom, { eventId }: KeptEvent): Promise<readonly Op[]> {
  if (!(await lease.get(aggregates, eventId))) return []
  const replies = await lease.range(repliers, { index: 'key', from: `${eventId}\0`, to: `${eventId}\u0001` })
  return [remove(aggregates, eventId, roomId), ...replies.map(({ key }) => remove(repliers, key, roomId))]
}
