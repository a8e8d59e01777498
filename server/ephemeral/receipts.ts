/**
 * Receipts: which events users have read. Spec: client-server-api §Receipts, §Read and unread markers.
 */
import { forbidden, invalidParam, notFound } from '../../shared/matrix/errors.ts'
import { serverNameOf } from '../../shared/matrix/identifiers.ts'
import type { AccountsForReaders } from '../accounts/index.ts'
import type { Environment } from '../observe/environment.ts'
import type { RoomEvent, RoomsForReaders, RoomView } from '../rooms/index.ts'
import { put, type Store } from '../store/index.ts'
import { Listeners } from './listeners.ts'
import { receiptEvents } from './receipt-events.ts'
import {
  ReceiptCache,
  type ReceiptRow,
  type ReceiptType,
  receiptHeadRows,
  receiptId,
  receiptRows,
} from './receipt-rows.ts'
import { fitsThread } from './thread-of.ts'

/** So many threads of one room may a user of another server have receipts in; ours can only name threads that exist. */
const MAX_REMOTE_THREADS = 1_000

/** A receipt that came to be; told after its commit, in the order of positions. */
export interface ReceiptChange {
  readonly roomId: string
  readonly userId: string
  readonly type: ReceiptType
  readonly threadId: string | null
  readonly eventId: string
  readonly ts: number
  readonly position: number
  /** Whether the user is ours, so that other servers must hear of it (if it is not private). */
  readonly isLocal: boolean
}

/** How far a user has read a room, as orders of its timeline: events up to and including it are read. */
export interface ReadUpTo {
  /** The farther of the unthreaded public and private receipts; `null` without any. */
  readonly unthreaded: number | null
  /** The same by thread ID, `main` among them. */
  readonly threads: ReadonlyMap<string, number>
}

export interface Receipts {
  /**
   * A local user has read up to an event. A receipt that would move backwards changes nothing.
   * @param receipt.threadId the thread's root, `main`, or `null` for an unthreaded receipt
   * @throws MatrixError 403 M_FORBIDDEN where they are not joined, 404 M_NOT_FOUND for an event that they cannot see,
   *   400 M_INVALID_PARAM where the event is not in that thread
   */
  post(receipt: {
    readonly roomId: string
    readonly userId: string
    readonly type: ReceiptType
    readonly eventId: string
    readonly threadId: string | null
  }): Promise<void>
  /**
   * Sets the fully read marker (room account data `m.fully_read`) and unthreaded receipts. All is checked before anything is
   * changed. A marker or receipt that would move backwards stays where it is.
   * @throws MatrixError as `post`
   */
  setMarkers(markers: {
    readonly roomId: string
    readonly userId: string
    readonly fullyRead?: string | undefined
    readonly read?: string | undefined
    readonly readPrivate?: string | undefined
  }): Promise<void>
  /** What another server says of its user. Users who are not joined are ignored. */
  receive(receipt: {
    readonly roomId: string
    readonly userId: string
    readonly eventId: string
    readonly threadId: string | null
    readonly ts: number
  }): Promise<void>
  /** Stream position of the last receipt in the room, 0 without any. No room is opened. */
  lastChange(roomId: string): number
  /**
   * `m.receipt` events, as JSON texts, with what became known after `since` (exclusive) and up to `upTo`, one for each thread.
   * Private receipts of others are not among them.
   * @param hidden users whose receipts the viewer does not want to see
   */
  eventsSince(query: {
    readonly roomId: string
    readonly viewer: string
    readonly since: number
    readonly upTo: number
    readonly hidden?: ReadonlySet<string> | undefined
  }): Promise<readonly string[]>
  readUpTo(roomId: string, userId: string): Promise<ReadUpTo>
  /** What became known after a stream position in all rooms, oldest first; of each user, type and thread the newest only. */
  changesSince(since: number, limit: number): Promise<readonly ReceiptChange[]>
  onChange(listener: (change: ReceiptChange) => void): () => void
}

/** An event with its place in the timeline. */
interface PlacedEvent {
  readonly event: RoomEvent
  readonly order: number
}

type Candidate = Pick<ReceiptRow, 'userId' | 'type' | 'threadId' | 'eventId' | 'order' | 'ts'>

export async function openReceipts(deps: {
  readonly environment: Environment
  readonly store: Store
  readonly rooms: RoomsForReaders
  readonly accounts: AccountsForReaders
}): Promise<Receipts> {
  const { environment, store, rooms, accounts } = deps
  const cache = new ReceiptCache(store)
  const listeners = new Listeners<ReceiptChange>()
  const heads = new Map<string, number>()
  for (const head of await store.home.range(receiptHeadRows, { index: 'roomId' })) heads.set(head.roomId, head.position)

  /** Keeps those of one user's receipts in a room that move forward, in one commit. */
  async function record(roomId: string, userId: string, candidates: readonly Candidate[]): Promise<void> {
    await store.exclusive(`receipts ${roomId} ${userId}`, async () => {
      const before = await cache.load(roomId)
      const ids = candidates.map((candidate) => receiptId(userId, candidate.type, candidate.threadId))
      const forward = candidates
        .map((candidate, i) => ({ ...candidate, id: ids[i] as string }))
        .filter(({ id, order, eventId }) => movesForward(before.get(id), { order, eventId }))
      if (forward.length === 0) return
      let rows: readonly ReceiptRow[] = []
      const position = await store.commit((position) => {
        rows = forward.map((row) => ({ ...row, position }))
        return [
          ...rows.map((row) => put(receiptRows, row, roomId)),
          put(receiptHeadRows, { roomId, position: Math.max(position, heads.get(roomId) ?? 0) }),
        ]
      })
      cache.apply(roomId, rows)
      heads.set(roomId, Math.max(position, heads.get(roomId) ?? 0))
      for (const row of rows) listeners.tell(changeOf(roomId, row))
    })
  }

  function changeOf(roomId: string, { userId, type, threadId, eventId, ts, position }: ReceiptRow): ReceiptChange {
    const isLocal = serverNameOf(userId) === environment.serverName
    return { roomId, userId, type, threadId, eventId, ts, position, isLocal }
  }

  async function requireJoined(userId: string, roomId: string): Promise<void> {
    const membership = await rooms.findMembership(userId, roomId)
    if (membership?.membership !== 'join') throw forbidden('You are not in this room')
  }

  async function requireEvent(view: RoomView, userId: string, eventId: string): Promise<PlacedEvent> {
    const event = await view.find(eventId)
    const { order = null } = event ?? {}
    if (!event || order === null || event.isRejected || event.isSoftFailed || !(await view.maySee(userId, event))) {
      throw notFound('There is no such event in this room')
    }
    return { event, order }
  }

  /** Whether the marker is to be set: only forward of the one that there is, as far as we know where that is. */
  async function marksForward(view: RoomView, userId: string, order: number): Promise<boolean> {
    const marker = await accounts.findAccountData(userId, view.roomId, 'm.fully_read')
    const eventId = marker?.content.event_id
    if (typeof eventId !== 'string') return true
    const before = await view.find(eventId)
    return before === undefined || before.order === null || before.order < order
  }

  return {
    async post({ roomId, userId, type, eventId, threadId }) {
      await requireJoined(userId, roomId)
      using view = await rooms.open(roomId)
      const { event, order } = await requireEvent(view, userId, eventId)
      if (threadId !== null && !(await fitsThread(event, threadId, (id) => view.find(id)))) {
        throw invalidParam('The event is not in the thread that thread_id names')
      }
      await record(roomId, userId, [{ userId, type, threadId, eventId, order, ts: environment.clock.now() }])
    },

    async setMarkers({ roomId, userId, fullyRead, read, readPrivate }) {
      await requireJoined(userId, roomId)
      using view = await rooms.open(roomId)
      const marked = fullyRead === undefined ? undefined : await requireEvent(view, userId, fullyRead)
      const ts = environment.clock.now()
      const candidates: Candidate[] = []
      for (const [type, eventId] of [
        ['m.read', read],
        ['m.read.private', readPrivate],
      ] as const) {
        if (eventId === undefined) continue
        const { order } = await requireEvent(view, userId, eventId)
        candidates.push({ userId, type, threadId: null, eventId, order, ts })
      }
      if (marked) {
        await store.exclusive(`fully-read ${roomId} ${userId}`, async () => {
          if (!(await marksForward(view, userId, marked.order))) return
          const content = { event_id: marked.event.eventId }
          await accounts.setAccountData({ userId, roomId, type: 'm.fully_read', content })
        })
      }
      if (candidates.length > 0) await record(roomId, userId, candidates)
    },

    async receive({ roomId, userId, eventId, threadId, ts }) {
      const joined = await rooms.joinedUsers(roomId)
      if (!joined.has(userId)) return
      using view = await rooms.open(roomId)
      const event = await view.find(eventId)
      const order = event?.order ?? null
      if (threadId !== null) {
        // A thread that cannot be checked could be one of any number.
        if (!event || !(await fitsThread(event, threadId, (id) => view.find(id)))) return
        if ((await cache.load(roomId)).countOf(userId) >= MAX_REMOTE_THREADS) return
      }
      await record(roomId, userId, [{ userId, type: 'm.read', threadId, eventId, order, ts }])
    },

    lastChange: (roomId) => heads.get(roomId) ?? 0,

    async eventsSince({ roomId, viewer, since, upTo, hidden }) {
      if ((heads.get(roomId) ?? 0) <= since) return []
      const receipts = await cache.load(roomId)
      const shown = receipts
        .between(since, upTo)
        .filter(({ userId, type }) => userId === viewer || (type !== 'm.read.private' && hidden?.has(userId) !== true))
      return receiptEvents(shown)
    },

    async readUpTo(roomId, userId) {
      let unthreaded: number | null = null
      const threads = new Map<string, number>()
      if (heads.has(roomId)) {
        for (const { threadId, order } of (await cache.load(roomId)).ofUser(userId)) {
          if (order === null) continue
          if (threadId === null) unthreaded = Math.max(order, unthreaded ?? order)
          else threads.set(threadId, Math.max(order, threads.get(threadId) ?? order))
        }
      }
      return { unthreaded, threads }
    },

    async changesSince(since, limit) {
      const found: ReceiptChange[] = []
      for (const [roomId, position] of [...heads]) {
        if (position <= since) continue
        const receipts = await cache.load(roomId)
        for (const row of receipts.between(since, Number.POSITIVE_INFINITY)) found.push(changeOf(roomId, row))
      }
      return found.sort((a, b) => a.position - b.position).slice(0, limit)
    },

    onChange: (listener) => listeners.add(listener),
  }
}

/** Receipts only move forward in the room's timeline; where an event is unknown, the newer word counts. */
function movesForward(
  before: ReceiptRow | undefined,
  after: { readonly order: number | null; readonly eventId: string },
): boolean {
  if (before === undefined) return true
  if (before.eventId === after.eventId) return false
  return before.order === null || after.order === null || after.order > before.order
}
