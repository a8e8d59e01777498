/** Events that are sent later, unless they are cancelled. Spec: MSC4140. */
import { forbidden, limitExceeded, MatrixError, notFound, tooLarge } from '../../shared/matrix/errors.ts'
import { type Requester, requireNotSuspended } from '../accounts/index.ts'
import { encodeBase64Url } from '../protocol/base64.ts'
import { MAX_PDU_BYTES } from '../protocol/event-format.ts'
import type { JsonObject } from '../protocol/pdu.ts'
import { orderKey, put, remove } from '../store/index.ts'
import type { EventAnnouncement } from './contract.ts'
import type { RoomsCore } from './core.ts'
import {
  type DelayedEvent,
  type DelayedEventRow,
  delayedEventOf,
  delayedEvents,
  finalisedRow,
  scheduledRow,
  slotOf,
} from './delayed-event-store.ts'
import type { OpenRooms } from './open-rooms.ts'
import { sendDelayed } from './send-delayed.ts'

/** The longest delay, and how many events of one user may wait; clients learn both from their capabilities. */
export const DELAYED_EVENT_LIMITS = { maxDelayMs: 30 * 24 * 60 * 60_000, maxScheduled: 100 } as const
/** Finalised ones are kept this long, and so many of each user. Spec: MSC4140 §Retention of finalised delayed events. */
const KEPT_MS = 7 * 24 * 60 * 60_000
const MAX_KEPT = 1_000
/** Read, sent or removed at once. */
const SLICE = 64
/** After an error of the disk. */
const RETRY_MS = 10_000

export type DelayedAction = 'send' | 'cancel' | 'restart'

export interface DelayedWish {
  readonly roomId: string
  readonly requester: Requester
  readonly type: string
  readonly stateKey?: string | undefined
  readonly content: JsonObject
  readonly delayMs: number
  /** Absent where the endpoint has none. */
  readonly txnId?: string | undefined
  readonly createdTs?: number | undefined
}

/** What the client API needs. Each owner sees and changes only their own. */
export interface DelayedEventsOfUser {
  /**
   * @returns the delay ID
   * @throws MatrixError 403 M_USER_SUSPENDED, M_FORBIDDEN outside of the room, or for a delay that is too long; 413 M_TOO_LARGE;
   *   429 M_LIMIT_EXCEEDED with the time until the next one is sent
   */
  schedule(wish: DelayedWish): Promise<string>
  /** @throws MatrixError 404 M_NOT_FOUND; 409 M_UNKNOWN where it has ended otherwise; for `send`, those of sending */
  manage(userId: string, delayId: string, action: DelayedAction): Promise<void>
  /** @throws MatrixError 404 M_NOT_FOUND */
  get(userId: string, delayId: string): Promise<DelayedEvent>
  /** Scheduled ones, in the order in which they will be sent. */
  list(userId: string): Promise<readonly DelayedEvent[]>
}

/**
 * Delayed events of all users: on disk, sent by the clock. Sending one and noting that it was sent are one commit, so that none
 * is sent twice.
 */
export class DelayedEvents implements DelayedEventsOfUser {
  readonly #core: RoomsCore
  readonly #rooms: OpenRooms
  readonly #endSubscription: () => void
  #stopTimer: (() => void) | undefined
  #armedTs = Number.POSITIVE_INFINITY
  #running: Promise<void> | undefined
  /** The clock rang while it was running. */
  #isWantedAgain = false
  /** Cancellations that announcements have asked for. */
  readonly #cancelling = new Set<Promise<void>>()
  #isClosed = false

  constructor(core: RoomsCore, rooms: OpenRooms) {
    this.#core = core
    this.#rooms = rooms
    this.#endSubscription = core.announcer.onEvent((announcement) => this.#cancelOvertaken(announcement))
  }

  /** Begins with what came due while the server was down, and sets the clock for the rest. */
  resume(): void {
    this.#start()
  }

  async schedule(wish: DelayedWish): Promise<string> {
    const { roomId, requester, type, stateKey, content, delayMs, txnId, createdTs } = wish
    const { userId, deviceId } = requester
    const { store, environment } = this.#core
    requireNotSuspended(requester)
    await this.#requireMember(wish)
    const { maxDelayMs, maxScheduled } = DELAYED_EVENT_LIMITS
    if (delayMs > maxDelayMs) {
      // The names under which clients in use look for the limit.
      const known = { 'org.matrix.msc4140.errcode': 'M_MAX_DELAY_EXCEEDED', 'org.matrix.msc4140.max_delay': maxDelayMs }
      throw new MatrixError('M_FORBIDDEN', 403, `Events are delayed by ${maxDelayMs} ms at most`, known)
    }
    const json = JSON.stringify(content)
    if (Buffer.byteLength(json) > MAX_PDU_BYTES) throw tooLarge(`The event is larger than ${MAX_PDU_BYTES} bytes`)
    const txn = txnId === undefined ? null : [userId, deviceId ?? '', roomId, type, txnId].join('\u0000')
    return store.exclusive(`rooms delayed of ${userId}`, async () => {
      const [known] =
        txn === null
          ? []
          : await store.home.range(delayedEvents, { index: 'txn', from: txn, to: `${txn}\u0000`, limit: 1 })
      if (known) return known.delayId
      const now = environment.clock.now()
      const own = { index: 'scheduled', from: orderKey(userId, 0), to: `${userId}\u0001` }
      if ((await store.home.count(delayedEvents, own)) >= maxScheduled) {
        const [next] = await store.home.range(delayedEvents, { ...own, limit: 1 })
        throw limitExceeded(Math.max(1, (next?.dueTs ?? now) - now))
      }
      const row = scheduledRow({
        delayId: encodeBase64Url(environment.random.bytes(18)),
        userId,
        deviceId,
        roomId,
        type,
        stateKey: stateKey ?? null,
        content: json,
        delayMs,
        scheduledTs: now,
        createdTs: createdTs ?? null,
        txn,
      })
      await store.commit(() => [put(delayedEvents, row)])
      this.#arm(row.scheduledTs + row.delayMs)
      return row.delayId
    })
  }

  /**
   * Power is judged when the event is sent. Who is outside learns no more than from sending: not whether there is such a room.
   * Those who were asked in, or have asked, may have their answer sent later.
   */
  async #requireMember({ roomId, requester: { userId }, type, stateKey }: DelayedWish): Promise<void> {
    const membership = (await this.#core.memberships.find(userId, roomId))?.membership
    const isOwn = type === 'm.room.member' && stateKey === userId
    if (membership === 'join' || (isOwn && (membership === 'invite' || membership === 'knock'))) return
    throw forbidden('You are not in this room')
  }

  async manage(userId: string, delayId: string, action: DelayedAction): Promise<void> {
    await this.#exclusive(delayId, async () => {
      const row = await this.#own(userId, delayId)
      if (row.dueTs === null) {
        const outcome = row.eventId === null ? 'cancel' : 'send'
        if (action === outcome) return
        throw new MatrixError('M_UNKNOWN', 409, 'The event was sent or cancelled already')
      }
      if (action === 'send') await this.#send(row)
      else if (action === 'cancel') await this.#finalise(row, {})
      else {
        const restarted = scheduledRow({ ...row, scheduledTs: this.#core.environment.clock.now() })
        await this.#core.store.commit(() => [put(delayedEvents, restarted)])
        this.#arm(restarted.scheduledTs + restarted.delayMs)
      }
    })
  }

  async get(userId: string, delayId: string): Promise<DelayedEvent> {
    return delayedEventOf(await this.#own(userId, delayId))
  }

  async list(userId: string): Promise<readonly DelayedEvent[]> {
    return (await this.#scheduledOf(userId)).map(delayedEventOf)
  }

  /** A deactivated user sends nothing more. */
  async cancelAllOf(userId: string): Promise<void> {
    for (const { delayId } of await this.#scheduledOf(userId)) await this.#cancel(delayId)
  }

  /** Resolves when nothing is being sent. */
  async settled(): Promise<void> {
    while (this.#running || this.#cancelling.size > 0) await Promise.all([this.#running, ...this.#cancelling])
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#stopTimer?.()
    this.#endSubscription()
    await this.settled()
  }

  #exclusive(delayId: string, work: () => Promise<void>): Promise<void> {
    return this.#core.store.exclusive(`rooms delayed ${delayId}`, work)
  }

  async #own(userId: string, delayId: string): Promise<DelayedEventRow> {
    const row = await this.#core.store.home.get(delayedEvents, delayId)
    if (!row || row.userId !== userId) throw notFound('There is no such delayed event')
    return row
  }

  #scheduledOf(userId: string): Promise<readonly DelayedEventRow[]> {
    return this.#core.store.home.range(delayedEvents, {
      index: 'scheduled',
      from: orderKey(userId, 0),
      to: `${userId}\u0001`,
    })
  }

  /** Sees to it that the clock rings at this time or before. */
  #arm(ts: number): void {
    if (this.#isClosed || ts >= this.#armedTs) return
    this.#stopTimer?.()
    this.#armedTs = ts
    const { clock } = this.#core.environment
    this.#stopTimer = clock.after(Math.max(0, ts - clock.now()), () => this.#start())
  }

  #start(): void {
    this.#armedTs = Number.POSITIVE_INFINITY
    if (this.#isClosed) return
    if (this.#running) {
      this.#isWantedAgain = true
      return
    }
    this.#isWantedAgain = false
    this.#running = this.#sendDue().then((nextTs) => {
      this.#running = undefined
      if (this.#isWantedAgain) this.#start()
      else if (nextTs !== undefined) this.#arm(nextTs)
    })
  }

  /** In the order in which they were due. @returns when the next one is, or the next try */
  async #sendDue(): Promise<number | undefined> {
    const { store, environment } = this.#core
    try {
      for (;;) {
        const [next] = await store.home.range(delayedEvents, { index: 'dueTs', limit: 1 })
        if (this.#isClosed || next?.dueTs == null) return undefined
        if (next.dueTs > environment.clock.now()) return next.dueTs
        await this.#exclusive(next.delayId, () => this.#sendScheduled(next.delayId))
      }
    } catch (error) {
      environment.logger.warn({ event: 'rooms.delayed.failed', error: String(error) })
      return environment.clock.now() + RETRY_MS
    }
  }

  async #sendScheduled(delayId: string): Promise<void> {
    const { store, environment } = this.#core
    const row = await store.home.get(delayedEvents, delayId)
    // Restarted or ended meanwhile.
    if (row?.dueTs == null || row.dueTs > environment.clock.now()) return
    try {
      await this.#send(row)
    } catch (error) {
      if (!(error instanceof MatrixError)) throw error
      await this.#finalise(row, { error: error.toBody() })
    }
  }

  async #send(row: DelayedEventRow): Promise<void> {
    const ts = this.#core.environment.clock.now()
    const opsFor = (eventId: string) => [put(delayedEvents, finalisedRow(row, { ts, eventId }))]
    const eventId = await sendDelayed(this.#core, this.#rooms, row, opsFor)
    const after = await this.#core.store.home.get(delayedEvents, row.delayId)
    // Where the state was so already there was nothing to commit.
    if (after?.dueTs != null) await this.#finalise(row, { eventId })
    else await this.#prune(row.userId)
  }

  async #finalise(row: DelayedEventRow, outcome: { eventId?: string; error?: object }): Promise<void> {
    const finalised = finalisedRow(row, { ...outcome, ts: this.#core.environment.clock.now() })
    await this.#core.store.commit(() => [put(delayedEvents, finalised)])
    await this.#prune(row.userId)
  }

  async #prune(userId: string): Promise<void> {
    const { store, environment } = this.#core
    const to = environment.clock.now() - KEPT_MS
    const old = await store.home.range(delayedEvents, { index: 'finalisedTs', to, limit: SLICE })
    const own = { index: 'finalised', from: orderKey(userId, 0), to: `${userId}\u0001` }
    const surplus = (await store.home.count(delayedEvents, own)) - MAX_KEPT
    const tooMany = surplus > 0 ? await store.home.range(delayedEvents, { ...own, limit: surplus }) : []
    if (old.length + tooMany.length === 0) return
    await store.commit(() => [...old, ...tooMany].map(({ delayId }) => remove(delayedEvents, delayId)))
  }

  async #cancel(delayId: string): Promise<void> {
    await this.#exclusive(delayId, async () => {
      const row = await this.#core.store.home.get(delayedEvents, delayId)
      if (row?.dueTs != null) await this.#finalise(row, {})
    })
  }

  /** State that somebody else has set meanwhile is not to be overwritten by what was decided before it. */
  #cancelOvertaken({ event, roomId }: EventAnnouncement): void {
    const { type, state_key: stateKey, sender } = event.pdu
    if (stateKey === undefined || this.#isClosed) return
    const work = this.#cancelIn(slotOf(roomId, type, stateKey), sender).catch((error: unknown) => {
      this.#core.environment.logger.warn({ event: 'rooms.delayed.uncancelled', roomId, error: String(error) })
    })
    this.#cancelling.add(work)
    void work.finally(() => this.#cancelling.delete(work))
  }

  async #cancelIn(slot: string, sender: string): Promise<void> {
    const rows = await this.#core.store.home.range(delayedEvents, { index: 'slot', from: slot, to: `${slot}\u0000` })
    for (const { delayId, userId } of rows) if (userId !== sender) await this.#cancel(delayId)
  }
}
