/** Pages of a room's history. Spec: client-server-api §GET /messages, §GET /context. */
import type { JsonObject, Pdu } from '../protocol/pdu.ts'
import type { Access } from './access.ts'
import { timelineToken } from './batch-token.ts'
import type { EventViewer } from './contract.ts'
import type { RoomsCore } from './core.ts'
import type { KeptEvent } from './event.ts'
import { readFetching } from './history/fetch-for-reader.ts'
import { type ReadSoFar, readFilling } from './history/fill-ahead.ts'
import type { History } from './history/history.ts'
import type { OpenRooms } from './open-rooms.ts'
import { findVisible, orderOfToken, type Reader, withAccess } from './read-state.ts'
import type { KeptRoomView } from './room-view.ts'
import type { StateMap } from './state-map.ts'
import { type Piece, piecesOf } from './timeline-pieces.ts'

/** What a filter lets through. Made by those above from a `RoomEventFilter`. */
export interface TimelineFilter {
  readonly limit: number | undefined
  readonly lazyLoadMembers: boolean
  readonly passesRoom: (roomId: string) => boolean
  readonly passes: (event: { readonly type: string; readonly sender: string; readonly content: JsonObject }) => boolean
}

export interface Page {
  readonly start: string
  /** Absent where there is nothing further. */
  readonly end?: string
  /** Events as JSON texts, in the direction of travel. */
  readonly chunk: readonly string[]
  /** Member events of the senders in `chunk`, where the filter asks for lazy loading. */
  readonly state?: readonly string[]
}

export interface PageWish {
  readonly from: string | undefined
  readonly to: string | undefined
  readonly direction: 'forward' | 'backward'
  readonly limit: number | undefined
  readonly filter: TimelineFilter
}

const DEFAULT_LIMIT = 10
const MAX_LIMIT = 500
/** So many events are looked at for one page; where fewer are wanted or may be seen, the client goes on from `end`. */
const MAX_LOOKED_AT = 2_000
const PER_READ = 128

/** @throws MatrixError 403 M_FORBIDDEN, 400 M_INVALID_PARAM for a token that is none of ours */
export function readPage(
  core: RoomsCore,
  rooms: OpenRooms,
  history: History,
  reader: Reader,
  wish: PageWish,
): Promise<Page> {
  const read = (passed: ReadonlySet<number>) => readPageSoFar(core, rooms, reader, wish, passed)
  return readFilling(core, history, reader.roomId, read, wish.direction === 'forward')
}

function readPageSoFar(
  core: RoomsCore,
  rooms: OpenRooms,
  reader: Reader,
  wish: PageWish,
  passed: ReadonlySet<number>,
): Promise<ReadSoFar<Page>> {
  return withAccess(core, rooms, reader, async (view, access, viewer) => {
    const { direction, filter } = wish
    const isForward = direction === 'forward'
    // A page of nothing would lead nowhere.
    const limit = Math.max(
      1,
      Math.min(wish.limit ?? filter.limit ?? DEFAULT_LIMIT, filter.limit ?? MAX_LIMIT, MAX_LIMIT),
    )
    const from = wish.from === undefined ? undefined : await orderOfToken(view, wish.from)
    const to = wish.to === undefined ? undefined : await orderOfToken(view, wish.to)
    const start = clamp(from ?? (isForward ? view.earliestOrder : access.until), view, access)
    const bound = to === undefined ? undefined : clamp(to, view, access)
    const stretch = isForward
      ? { from: start, to: bound ?? access.until }
      : { from: bound ?? view.earliestOrder, to: start }
    const isWanted = await wantedBy(view, reader, filter)
    const parted = piecesOf(stretch, isForward, view.gaps, passed)
    const { events, next, isAtEnd } = await collectAll(view, reader.userId, parted.pieces, {
      isForward,
      limit,
      isWanted,
    })
    const result = {
      start: wish.from ?? timelineToken(start),
      ...(!(isAtEnd && !parted.hasMore) && { end: timelineToken(next ?? start) }),
      chunk: await renderAll(view, events, viewer),
      ...(filter.lazyLoadMembers && { state: await sendersOf(view, access.state, events, viewer) }),
    }
    return { result, edge: isAtEnd && events.length < limit ? parted.edge : undefined }
  })
}

interface Collected {
  readonly events: readonly KeptEvent[]
  /** The gap from which to go on; `undefined` where nothing was read. */
  readonly next: number | undefined
  /** All that there is has been looked at. */
  readonly isAtEnd: boolean
}

/** The same as `collect`, over several pieces of the timeline. */
async function collectAll(
  view: KeptRoomView,
  userId: string,
  pieces: readonly Piece[],
  wish: { isForward: boolean; limit: number; isWanted: Wanted },
): Promise<Collected> {
  const { isForward, limit, isWanted } = wish
  const events: KeptEvent[] = []
  let next: number | undefined
  for (const piece of pieces) {
    const one = await collect(view, userId, { ...piece, isForward, limit: limit - events.length, isWanted })
    events.push(...one.events)
    next = one.next
    const isPieceOver = isForward ? next >= piece.to : next <= piece.from
    if (!isPieceOver) return { events, next, isAtEnd: false }
    // What is wanted may end just where the piece does.
    if (events.length >= limit) return { events, next, isAtEnd: piece === pieces.at(-1) }
  }
  return { events, next, isAtEnd: true }
}

const clamp = (order: number, view: KeptRoomView, access: Access): number =>
  Math.min(Math.max(order, view.earliestOrder), access.until)

type Wanted = (pdu: Pdu) => boolean

/** The filter, and that nobody sees messages of those whom they ignore. Spec: client-server-api §Ignoring Users. */
async function wantedBy(
  view: KeptRoomView,
  { userId, roomId }: Reader,
  filter: Pick<TimelineFilter, 'passes' | 'passesRoom'>,
): Promise<Wanted> {
  if (!filter.passesRoom(roomId)) return () => false
  const ignored = await view.ignoredBy(userId)
  return (pdu) => filter.passes(pdu) && (pdu.state_key !== undefined || !ignored.has(pdu.sender))
}

/**
 * Events of `from <= order < to` that are wanted and may be seen, in the direction of travel.
 * @returns `next`: the gap from which to go on
 */
async function collect(
  view: KeptRoomView,
  userId: string,
  wish: { from: number; to: number; isForward: boolean; limit: number; isWanted: Wanted },
): Promise<{ readonly events: readonly KeptEvent[]; readonly next: number }> {
  const { isForward, limit, isWanted } = wish
  const direction = isForward ? 'forward' : 'backward'
  let { from, to } = wish
  let lookedAt = 0
  const found: KeptEvent[] = []
  while (from < to && found.length < limit && lookedAt < MAX_LOOKED_AT) {
    const size = lookedAt === 0 ? limit : PER_READ
    const read = await view.timeline({ from, to, limit: size, direction })
    lookedAt += read.length
    for (const event of await view.visibleTo(
      userId,
      read.filter(({ pdu }) => isWanted(pdu)),
    )) {
      found.push(event)
      if (found.length === limit) break
    }
    const last = found.length === limit ? found.at(-1) : read.length < size ? undefined : read.at(-1)
    if (last?.order == null) return { events: found, next: isForward ? to : from }
    if (isForward) from = last.order + 1
    else to = last.order
  }
  return { events: found, next: isForward ? from : to }
}

async function renderAll(
  view: KeptRoomView,
  events: readonly KeptEvent[],
  viewer: EventViewer,
): Promise<readonly string[]> {
  const texts: string[] = []
  for (const event of events) texts.push(await view.render(event, viewer))
  return texts
}

async function sendersOf(
  view: KeptRoomView,
  state: StateMap,
  events: readonly KeptEvent[],
  viewer: EventViewer,
): Promise<readonly string[]> {
  const senders = new Set(events.map(({ pdu }) => pdu.sender))
  const members = [...senders].map((sender) => state.get('m.room.member', sender))
  return renderAll(
    view,
    members.filter((member) => member !== undefined),
    viewer,
  )
}

/** What a room looks like to someone who may look into it. */
export interface Preview {
  readonly start: string
  readonly end: string
  /** The newest events, oldest first. */
  readonly chunk: readonly string[]
  readonly state: readonly string[]
}

/** Spec: client-server-api §GET /rooms/{roomId}/initialSync. @throws MatrixError 403 M_FORBIDDEN */
export function readPreview(core: RoomsCore, rooms: OpenRooms, reader: Reader): Promise<Preview> {
  return withAccess(core, rooms, reader, async (view, access, viewer) => {
    const { events, next } = await collect(view, reader.userId, {
      from: view.gapBelow(access.until) ?? view.earliestOrder,
      to: access.until,
      isForward: false,
      limit: DEFAULT_LIMIT,
      isWanted: await wantedBy(view, reader, { passesRoom: () => true, passes: () => true }),
    })
    return {
      start: timelineToken(next),
      end: timelineToken(access.until),
      chunk: await renderAll(view, events.toReversed(), viewer),
      state: await renderAll(view, [...access.state.all()], viewer),
    }
  })
}

export interface Context {
  readonly start: string
  readonly end: string
  readonly event: string
  /** Newest first. */
  readonly eventsBefore: readonly string[]
  readonly eventsAfter: readonly string[]
  readonly state: readonly string[]
}

/** An event with what came before and after it. @throws MatrixError 404 M_NOT_FOUND, 403 M_FORBIDDEN */
export async function readContext(
  core: RoomsCore,
  rooms: OpenRooms,
  history: History,
  reader: Reader,
  wish: ContextWish,
): Promise<Context> {
  return readFetching(core, rooms, history, reader, wish.eventId, () =>
    readFilling(core, history, reader.roomId, (passed) => readContextSoFar(core, rooms, reader, wish, passed)),
  )
}

export interface ContextWish {
  readonly eventId: string
  readonly limit: number | undefined
  readonly filter: TimelineFilter
}

function readContextSoFar(
  core: RoomsCore,
  rooms: OpenRooms,
  reader: Reader,
  wish: ContextWish,
  passed: ReadonlySet<number>,
): Promise<ReadSoFar<Context>> {
  return withAccess(core, rooms, reader, async (view, access, viewer) => {
    const event = await findVisible(core, view, reader, wish.eventId)
    const limit = Math.min(wish.limit ?? wish.filter.limit ?? DEFAULT_LIMIT, MAX_LIMIT)
    const isWanted = await wantedBy(view, reader, wish.filter)
    // Behind a gap above it the events are not those that came next.
    const above = view.gaps.find(({ floor, next }) => floor !== null && floor > event.order && next < access.until)
    const after = await collect(view, reader.userId, {
      from: event.order + 1,
      to: Math.min(access.until, above?.floor ?? access.until),
      isForward: true,
      limit: limit >> 1,
      isWanted,
    })
    const stretch = { from: view.earliestOrder, to: event.order }
    const parted = piecesOf(stretch, false, view.gaps, passed)
    const before = await collectAll(view, reader.userId, parted.pieces, {
      isForward: false,
      limit: limit - (limit >> 1),
      isWanted,
    })
    const last = after.events.at(-1) ?? event
    const state = await view.stateAt(last.order ?? event.order)
    const shown = [...before.events, event, ...after.events]
    const isLazy = wish.filter.lazyLoadMembers
    const senders = new Set(shown.map(({ pdu }) => pdu.sender))
    const stateEvents = [...state.all()].filter(({ pdu }) => {
      if (isLazy && pdu.type === 'm.room.member' && !senders.has(pdu.state_key ?? '')) return false
      return wish.filter.passes(pdu)
    })
    const result = {
      start: timelineToken(before.next ?? event.order),
      end: timelineToken(after.next),
      event: await view.render(event, viewer),
      eventsBefore: await renderAll(view, before.events, viewer),
      eventsAfter: await renderAll(view, after.events, viewer),
      state: await renderAll(view, stateEvents, viewer),
    }
    return { result, edge: before.isAtEnd && before.events.length < limit - (limit >> 1) ? parted.edge : undefined }
  })
}
