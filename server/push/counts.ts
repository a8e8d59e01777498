/**
 * Unread counts: how many events a user has not read that their push rules notify of, for each room and thread.
 * Spec: client-server-api §Receiving notifications, §Marking notifications as read.
 *
 * Nothing is counted when an event is sent. The first question about a room counts from what the user has read; later ones go on
 * from there with the events that came since. So a message costs nothing for users who do not sync, and a sync costs as much
 * as there are new events. After a restart it is counted anew, from the receipts, which are on disk.
 */
import type { AccountsForReaders } from '../accounts/index.ts'
import { MAIN_TIMELINE, type Receipts, threadOf } from '../ephemeral/index.ts'
import type { RoomEvent, RoomsForReaders, RoomView } from '../rooms/index.ts'
import type { IgnoredUsers } from './ignored-users.ts'
import { judge, type PushOutcome } from './judge.ts'
import type { PushRules } from './push-rules.ts'

/** At most so many of the newest events are looked at when a room is counted anew, and so many unread ones are kept. */
const LOOK_BACK = 1_000
/** Counts are kept for so many rooms, each for all of its users who ask. */
const MAX_ROOMS_IN_MEMORY = 1_000
/** A user's join is looked for behind so many of their changes of profile. */
const MAX_PROFILE_CHANGES = 50

/** As `unread_notifications` of `/sync`. */
export interface Counts {
  readonly notification_count: number
  readonly highlight_count: number
}

export interface UnreadCounts {
  /** Of the whole room. */
  readonly total: Counts
  readonly main: Counts
  /** By thread root; only threads with something unread. */
  readonly threads: ReadonlyMap<string, Counts>
}

export interface Unread {
  /** Counts as of now; at least all that the view sees is counted. */
  ofRoom(userId: string, view: RoomView): UnreadCounts | Promise<UnreadCounts>
  /** What `ofRoom` counts, oldest first; nothing in rooms that the user is not joined to. The newest thousand at most. */
  eventsOf(userId: string, view: RoomView): Promise<readonly UnreadEvent[]>
  /** Rooms whose counts a change of the user's rules may have changed: those that had something after what was read. */
  roomsToRecount(userId: string): Iterable<string>
}

/** An event that the user was notified of and has not read. */
export interface UnreadEvent {
  readonly eventId: string
  readonly order: number
  readonly position: number
  readonly thread: string
  /** By the rules as they were when it was counted. */
  readonly outcome: PushOutcome
}

/** What is counted of a room for a user. */
interface Tally {
  /** Of the member event that made the user a member: another one means they left and came back. */
  memberEventId: string | undefined
  /** Nothing up to this order counts. */
  joinOrder: number
  /** All up to this order is counted. */
  upTo: number
  unread: readonly UnreadEvent[]
  /** By thread, the newest event that the user sent: they have read so far. */
  readonly sentIn: Map<string, number>
  unthreaded: number
  threads: ReadonlyMap<string, number>
  hasNewReceipts: boolean
  /** Events that a redaction named, and the order of the redaction. */
  readonly toRecheck: Map<string, number>
  /** Events are being looked at that are not among the unread ones yet. */
  isCounting: boolean
  counts: UnreadCounts | undefined
  work: Promise<unknown> | undefined
}

const NONE: Counts = { notification_count: 0, highlight_count: 0 }
const NOTHING_UNREAD: UnreadCounts = { total: NONE, main: NONE, threads: new Map() }

export function createUnread(deps: {
  readonly rooms: RoomsForReaders
  readonly accounts: AccountsForReaders
  readonly receipts: Receipts
  readonly pushRules: PushRules
  readonly ignored: IgnoredUsers
}): Unread & Disposable {
  const { rooms, accounts, receipts, pushRules, ignored } = deps
  const byRoom = new Map<string, Map<string, Tally>>()
  /** By user, rooms that they had unread when their rules changed. */
  const toRecount = new Map<string, Set<string>>()

  const subscriptions = [
    rooms.onEvent(({ event, roomId }) => {
      const { type, redacts, content } = event.pdu
      if (type !== 'm.room.redaction' || event.order === null) return
      for (const tally of byRoom.get(roomId)?.values() ?? []) {
        for (const eventId of [redacts, content.redacts]) {
          if (typeof eventId !== 'string') continue
          if (!tally.isCounting && !tally.unread.some((unread) => unread.eventId === eventId)) continue
          tally.toRecheck.set(eventId, event.order)
          tally.counts = undefined
        }
      }
    }),
    receipts.onChange(({ roomId, userId }) => {
      const tally = byRoom.get(roomId)?.get(userId)
      if (!tally) return
      tally.hasNewReceipts = true
      tally.counts = undefined
    }),
    accounts.onAccountData(({ userId, roomId, type }) => {
      if (roomId !== null || (type !== 'm.push_rules' && type !== 'm.ignored_user_list')) return
      for (const [id, tallies] of byRoom) {
        const tally = tallies.get(userId)
        tallies.delete(userId)
        if (tally && tally.upTo > readInMain(tally)) toRecount.set(userId, (toRecount.get(userId) ?? new Set()).add(id))
      }
    }),
  ]

  function tallyOf(roomId: string, userId: string): Tally {
    const tallies = byRoom.get(roomId) ?? new Map<string, Tally>()
    byRoom.delete(roomId)
    byRoom.set(roomId, tallies)
    for (const oldest of byRoom.keys()) {
      if (byRoom.size <= MAX_ROOMS_IN_MEMORY) break
      byRoom.delete(oldest)
    }
    const known = tallies.get(userId)
    if (known) return known
    const made: Tally = {
      memberEventId: undefined,
      joinOrder: 0,
      upTo: 0,
      unread: [],
      sentIn: new Map(),
      unthreaded: Number.NEGATIVE_INFINITY,
      threads: new Map(),
      hasNewReceipts: true,
      toRecheck: new Map(),
      isCounting: false,
      counts: undefined,
      work: undefined,
    }
    tallies.set(userId, made)
    return made
  }

  async function bringUpToDate(tally: Tally, userId: string, view: RoomView): Promise<UnreadCounts> {
    const member = view.state.get('m.room.member', userId)
    if (member?.pdu.content.membership !== 'join') return NOTHING_UNREAD
    if (tally.memberEventId !== member.eventId) {
      const joinOrder = await orderOfJoin(view, member)
      if (joinOrder !== tally.joinOrder || tally.memberEventId === undefined) restart(tally, joinOrder)
      tally.memberEventId = member.eventId
    }
    if (tally.hasNewReceipts) {
      tally.hasNewReceipts = false
      const readUpTo = await receipts.readUpTo(view.roomId, userId)
      tally.unthreaded = readUpTo.unthreaded ?? Number.NEGATIVE_INFINITY
      tally.threads = readUpTo.threads
      tally.upTo = Math.max(tally.upTo, Math.min(tally.unthreaded, view.latestOrder))
    }
    tally.isCounting = true
    try {
      await countNew(tally, userId, view)
    } finally {
      tally.isCounting = false
    }
    for (const [eventId, redactionOrder] of tally.toRecheck) {
      if (redactionOrder > view.latestOrder) continue
      tally.toRecheck.delete(eventId)
      const event = await view.find(eventId)
      if (!event || event.redactedBecause) tally.unread = tally.unread.filter((unread) => unread.eventId !== eventId)
    }
    tally.unread = tally.unread.filter(({ order, thread }) => !isRead(tally, order, thread)).slice(-LOOK_BACK)
    const counts = sum(tally.unread)
    if (!tally.hasNewReceipts && tally.toRecheck.size === 0) tally.counts = counts
    return counts
  }

  async function countNew(tally: Tally, userId: string, view: RoomView): Promise<void> {
    if (tally.upTo >= view.latestOrder) return
    const [rules, hidden] = await Promise.all([pushRules.compiledFor(userId), ignored.of(userId)])
    const to = view.latestOrder + 1
    const from = Math.max(tally.upTo + 1, to - LOOK_BACK)
    const find = (eventId: string): Promise<RoomEvent | undefined> => view.find(eventId)
    const unread: UnreadEvent[] = []
    for (const event of await view.timeline({ from, to, limit: LOOK_BACK, direction: 'forward' })) {
      const { order, pdu } = event
      const isState = pdu.state_key !== undefined
      if (order === null || order <= tally.upTo || event.redactedBecause) continue
      if (pdu.sender === userId) {
        // "Either by using the API or by sending an event"; a change of one's profile is no sign of having read.
        if (!isState) tally.sentIn.set(await threadOf(event, find), order)
        continue
      }
      if (!isState && hidden.has(pdu.sender)) continue
      const outcome = judge(event, view, { userId, rules })
      if (!outcome.notify) continue
      const thread = await threadOf(event, find)
      unread.push({ eventId: event.eventId, order, position: event.position, thread, outcome })
    }
    if (unread.length > 0) tally.unread = [...tally.unread, ...unread]
    tally.upTo = view.latestOrder
  }

  function ofRoom(userId: string, view: RoomView): UnreadCounts | Promise<UnreadCounts> {
    const tally = tallyOf(view.roomId, userId)
    if (tally.counts && tally.upTo >= view.latestOrder) return tally.counts
    // Two devices of a user that sync at once would count the same events twice.
    const work = (tally.work ?? Promise.resolve()).then(() => bringUpToDate(tally, userId, view))
    tally.work = work.catch(() => undefined)
    return work
  }

  return {
    ofRoom,

    async eventsOf(userId, view) {
      if (view.membershipOf(userId) !== 'join') return []
      const tally = tallyOf(view.roomId, userId)
      await ofRoom(userId, view)
      return tally.unread
    },

    roomsToRecount: (userId) => toRecount.get(userId) ?? [],

    [Symbol.dispose]() {
      for (const end of subscriptions) end()
    },
  }
}

function restart(tally: Tally, joinOrder: number): void {
  tally.joinOrder = joinOrder
  tally.upTo = joinOrder
  tally.unread = []
  tally.sentIn.clear()
  tally.hasNewReceipts = true
}

/** Up to here the main timeline is read. */
function readInMain({ unthreaded, threads, sentIn }: Tally): number {
  return Math.max(unthreaded, threads.get(MAIN_TIMELINE) ?? 0, sentIn.get(MAIN_TIMELINE) ?? 0)
}

function isRead(tally: Tally, order: number, thread: string): boolean {
  return (
    order <= tally.unthreaded || order <= (tally.threads.get(thread) ?? 0) || order <= (tally.sentIn.get(thread) ?? 0)
  )
}

/** The order of the event by which the user joined, behind later changes of their profile. */
export async function orderOfJoin(view: RoomView, member: RoomEvent): Promise<number> {
  let join = member
  for (let i = 0; i < MAX_PROFILE_CHANGES && join.replaces?.content.membership === 'join'; i += 1) {
    const before = await view.find(join.replaces.eventId)
    if (!before) break
    join = before
  }
  return join.order ?? 0
}

function sum(unread: readonly UnreadEvent[]): UnreadCounts {
  if (unread.length === 0) return NOTHING_UNREAD
  const threads = new Map<string, { notification_count: number; highlight_count: number }>()
  const total = { notification_count: 0, highlight_count: 0 }
  const main = { notification_count: 0, highlight_count: 0 }
  for (const { thread, outcome } of unread) {
    let own = main
    if (thread !== MAIN_TIMELINE) {
      own = threads.get(thread) ?? { notification_count: 0, highlight_count: 0 }
      threads.set(thread, own)
    }
    for (const counts of [own, total]) {
      counts.notification_count += 1
      if (outcome.highlight) counts.highlight_count += 1
    }
  }
  return { total, main, threads }
}
