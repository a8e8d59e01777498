/**
 * The entry of a joined room in `/sync`. Spec: data/api/client-server/sync.yaml, Joined Room.
 */
import type { AccountDataEntry, AccountsForReaders } from '../accounts/index.ts'
import type { Ephemeral } from '../ephemeral/index.ts'
import type { Clock } from '../observe/environment.ts'
import type { Counts, Push } from '../push/index.ts'
import type { MembershipEntry, RoomEvent, RoomsForReaders, RoomView } from '../rooms/index.ts'
import type { LazyMembers } from './lazy-members.ts'
import { clientKey, eventsText, renderEvents, selectState, timelineText } from './room-parts.ts'
import { changedState, stateAtEnd, wholeState } from './room-state.ts'
import { concernsSummary, type RoomSummary, summaryFor, summaryText } from './summary.ts'
import { collectTimeline, type Timeline } from './timeline.ts'
import type { Span, Viewer } from './viewer.ts'

export interface RoomDeps {
  readonly clock: Clock
  readonly rooms: RoomsForReaders
  readonly accounts: AccountsForReaders
  readonly ephemeral: Ephemeral
  readonly push: Push
  readonly lazyMembers: LazyMembers
}

/** What other parts of an answer need to know of a room. */
export interface RoomFacts {
  /** Users who came into, or went out of, a room that the viewer is in; or the viewer did, and these are in it. */
  readonly met: readonly string[]
  readonly parted: readonly string[]
}

export interface RoomEntry {
  /** The entry as JSON text; `undefined` where there is nothing to say. */
  readonly text: string | undefined
  readonly facts: RoomFacts
}

const NO_FACTS: RoomFacts = { met: [], parted: [] }

/** Whether the user was joined when all up to that position had happened. */
export async function wasJoinedAt(view: RoomView, userId: string, position: number): Promise<boolean> {
  const state = await view.stateAt((await view.orderAfter(position)) - 1)
  return state.get('m.room.member', userId)?.pdu.content.membership === 'join'
}

/**
 * @param query.accountData what the viewer's account data for the room became in the span, oldest first
 * @param query.mustShow the client must hear of the room whatever happened, its counts at least
 */
export async function joinedRoom(
  deps: RoomDeps,
  viewer: Viewer,
  span: Span,
  query: {
    readonly entry: MembershipEntry
    readonly accountData: readonly AccountDataEntry[]
    readonly mustShow: boolean
  },
): Promise<RoomEntry> {
  const { entry } = query
  using view = await deps.rooms.open(entry.roomId)
  const { userId } = viewer
  const { since, upTo } = span
  const knowsRoom = since !== null && (entry.position <= since || (await wasJoinedAt(view, userId, since)))
  const stretch = {
    from: knowsRoom ? await view.orderAfter(since) : view.earliestOrder,
    to: view.position > upTo ? await view.orderAfter(upTo) : view.latestOrder + 1,
  }
  const collected = await collectTimeline(view, viewer, stretch)
  const timeline = knowsRoom || (await beginsWithCreation(view)) ? collected : { ...collected, limited: true }

  const changed = knowsRoom ? await changesIn(view, since, upTo) : []
  const isWhole = !knowsRoom || viewer.fullState
  const summary = isWhole || changed.some(concernsSummary) ? summaryFor(userId, view) : undefined
  const state = await stateOf(deps, viewer, { view, stretch, timeline, changed, isWhole, summary, since: since ?? 0 })
  const ephemeral = await ephemeralOf(deps, viewer, { ...span, since: knowsRoom ? since : 0 }, view.roomId)
  const entries =
    knowsRoom || since === null ? query.accountData : await deps.accounts.listAccountData(userId, view.roomId)
  const accountData = accountDataTexts(viewer, view.roomId, entries)

  const facts = await factsOf(view, viewer, span, { knowsRoom, changed })
  const isSilent =
    timeline.events.length === 0 &&
    !timeline.limited &&
    state.length === 0 &&
    summary === undefined &&
    ephemeral.texts.length === 0 &&
    accountData.length === 0
  if (isSilent && knowsRoom && !viewer.fullState && !query.mustShow && !ephemeral.hasReceipts) {
    return { text: undefined, facts }
  }

  const unread = await deps.push.unread.ofRoom(userId, view)
  const { unreadByThread, state: stateFilter } = viewer.filter
  if (stateFilter.lazyLoadMembers) {
    deps.lazyMembers.note(clientKey(viewer), upTo, [...state, ...timeline.events])
  }
  const parts = [
    ...(summary ? [`"summary":${summaryText(summary)}`] : []),
    `"${viewer.useStateAfter ? 'state_after' : 'state'}":${eventsText(await renderEvents(view, viewer, state))}`,
    `"timeline":${await timelineText(view, viewer, timeline)}`,
    `"ephemeral":${eventsText(ephemeral.texts)}`,
    `"account_data":${eventsText(accountData)}`,
    `"unread_notifications":${countsText(unreadByThread ? unread.main : unread.total)}`,
    ...(unreadByThread ? [`"unread_thread_notifications":${threadCountsText(unread.threads)}`] : []),
  ]
  return { text: `{${parts.join(',')}}`, facts }
}

/** Who came into, and went out of, a joined room in a span: the facts of `joinedRoom` without its entry. */
export async function joinedRoomFacts(
  rooms: RoomsForReaders,
  entry: MembershipEntry,
  { since, upTo }: { readonly since: number; readonly upTo: number },
): Promise<RoomFacts> {
  using view = await rooms.open(entry.roomId)
  const knowsRoom = entry.position <= since || (await wasJoinedAt(view, entry.userId, since))
  const changed = knowsRoom ? await changesIn(view, since, upTo) : []
  return factsOf(view, entry, { since }, { knowsRoom, changed })
}

/** Whether we have all of the room's timeline. What lies before a join over federation can be had from other servers. */
export async function beginsWithCreation(view: RoomView): Promise<boolean> {
  if (view.state.get('m.room.create')?.order === view.earliestOrder) return true
  const { earliestOrder: from } = view
  const [first] = await view.timeline({ from, to: from + 1, limit: 1, direction: 'forward' })
  return first?.pdu.type === 'm.room.create'
}

/** State events that became current in the span. */
export async function changesIn(view: RoomView, since: number, upTo: number): Promise<readonly RoomEvent[]> {
  if (view.position <= since) return []
  const changed = await view.stateChangedSince(since)
  return view.position > upTo ? changed.filter(({ position }) => position <= upTo) : changed
}

async function stateOf(
  deps: RoomDeps,
  viewer: Viewer,
  query: {
    readonly view: RoomView
    readonly stretch: { readonly from: number; readonly to: number }
    readonly timeline: Timeline
    readonly changed: readonly RoomEvent[]
    readonly isWhole: boolean
    readonly summary: RoomSummary | undefined
    readonly since: number
  },
): Promise<readonly RoomEvent[]> {
  const { view, stretch, timeline, changed, isWhole, summary, since } = query
  const isAfter = viewer.useStateAfter
  const isLazy = viewer.filter.state.lazyLoadMembers
  if (!isWhole && changed.length === 0 && !isLazy) return []
  const end = await stateAtEnd(view, stretch.to)
  const stateQuery = { view, stretch, timeline, isAfter, end }
  const events = isWhole ? await wholeState(stateQuery) : await changedState(stateQuery, changed)
  // Senders are shown as they were called when the timeline began.
  const isSameAtStart = isAfter || (!isWhole && !changed.some(({ pdu }) => pdu.type === 'm.room.member'))
  const members = !isLazy || isSameAtStart ? end : await view.stateAt(timeline.startOrder - 1)
  return selectState({
    viewer,
    view,
    timeline,
    events,
    areChanges: !isWhole,
    members,
    alsoNeeded: [...(isWhole ? [viewer.userId] : []), ...(summary?.heroes ?? [])],
    isAfter,
    since,
    lazyMembers: deps.lazyMembers,
  })
}

async function ephemeralOf(
  deps: RoomDeps,
  viewer: Viewer,
  span: Span,
  roomId: string,
): Promise<{ readonly texts: readonly string[]; readonly hasReceipts: boolean }> {
  const { typing, receipts } = deps.ephemeral
  const { ephemeral: filter } = viewer.filter
  const { ignored } = viewer
  const receiptTexts = await receipts.eventsSince({
    roomId,
    viewer: viewer.userId,
    since: span.since ?? 0,
    upTo: span.upTo,
    hidden: ignored,
  })
  const hasReceipts = receiptTexts.length > 0
  if (filter.passesNothing || !filter.passesRoom(roomId)) return { texts: [], hasReceipts }
  const texts: string[] = []
  if (filter.passesType('m.typing')) {
    const all = typing.inRoom(roomId)
    const isNews = typing.lastSerial(roomId) > span.sinceSerial || span.mustClearTyping
    const isFirst = span.since === null || span.since === 0
    if (isFirst ? all.length > 0 : isNews) {
      const shown = ignored.size === 0 ? all : all.filter((userId) => !ignored.has(userId))
      texts.push(`{"type":"m.typing","content":{"user_ids":${JSON.stringify(shown)}}}`)
    }
  }
  if (filter.passesType('m.receipt')) texts.push(...receiptTexts)
  return { texts, hasReceipts }
}

export function accountDataTexts(
  viewer: Viewer,
  roomId: string,
  entries: readonly AccountDataEntry[],
): readonly string[] {
  const filter = viewer.filter.roomAccountData
  if (entries.length === 0 || filter.passesNothing || !filter.passesRoom(roomId)) return []
  return entries
    .filter(({ type, content }) => filter.passes({ type, content }))
    .map(({ type, content }) => JSON.stringify({ type, content }))
}

/** Who came and went, as far as it is news. At a client's first sync nothing is. */
async function factsOf(
  view: RoomView,
  { userId }: Pick<Viewer, 'userId'>,
  { since }: Pick<Span, 'since'>,
  { knowsRoom, changed }: { readonly knowsRoom: boolean; readonly changed: readonly RoomEvent[] },
): Promise<RoomFacts> {
  if (since === null || (knowsRoom && changed.length === 0)) return NO_FACTS
  const others = (): string[] => [...view.joined()].filter((member) => member !== userId)
  if (!knowsRoom) return { met: others(), parted: [] }
  // Whoever is in the room shares an encrypted room with the viewer from now on.
  if (changed.some(({ pdu }) => pdu.type === 'm.room.encryption')) return { met: others(), parted: [] }
  const met: string[] = []
  const parted: string[] = []
  for (const { pdu, replaces } of changed) {
    if (pdu.type !== 'm.room.member' || pdu.state_key === undefined || pdu.state_key === userId) continue
    const isJoined = pdu.content.membership === 'join'
    const wasJoined = replaces?.content.membership === 'join'
    if (isJoined && !wasJoined) met.push(pdu.state_key)
    else if (wasJoined && !isJoined) parted.push(pdu.state_key)
  }
  return { met, parted }
}

function countsText({ notification_count, highlight_count }: Counts): string {
  return `{"notification_count":${notification_count},"highlight_count":${highlight_count}}`
}

function threadCountsText(threads: ReadonlyMap<string, Counts>): string {
  return `{${[...threads].map(([root, counts]) => `${JSON.stringify(root)}:${countsText(counts)}`).join(',')}}`
}
