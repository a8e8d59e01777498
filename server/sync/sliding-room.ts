/**
 * A room in an answer of sliding sync. Spec: MSC4186 §Room results, §RoomResult.
 */
import type { MembershipEntry, RoomEvent, RoomView, StateView } from '../rooms/index.ts'
import { timelineToken } from '../rooms/index.ts'
import { NO_FILTER } from './filter.ts'
import { beginsWithCreation, changesIn, type RoomDeps, wasJoinedAt } from './joined-room.ts'
import { memberText, openIfKept } from './other-rooms.ts'
import { renderEvents } from './room-parts.ts'
import { compareStates, stateAtEnd } from './room-state.ts'
import type { BumpStamps } from './sliding-bump-stamps.ts'
import type { ChosenRoom } from './sliding-chosen.ts'
import type { Connection, SentRoom } from './sliding-connection.ts'
import { requiredEvents } from './sliding-state.ts'
import { summaryFields } from './sliding-summary.ts'
import { collectTimeline, type Timeline } from './timeline.ts'
import type { Viewer } from './viewer.ts'

export interface SlidingRoomDeps extends RoomDeps {
  readonly bumpStamps: BumpStamps
}

export interface RoomResult {
  /** JSON; `undefined` where there is nothing to say. */
  readonly text: string | undefined
  /** What the client then knows; `null`: it has put the room away. */
  readonly sent: SentRoom | null
  readonly members: readonly RoomEvent[]
  /** IDs of the events in the timeline. */
  readonly timeline: ReadonlySet<string>
  readonly isInitial: boolean
}

export interface RoomQuery extends ChosenRoom {
  readonly connection: Connection
  /** The stream position now. */
  readonly upTo: number
  readonly isDm: boolean
}

/** A stretch of a room's timeline and the state at its end, as far as the viewer may know it. */
interface Extent {
  readonly from: number
  readonly to: number
  readonly end: StateView
  /** Changes of state since the client knew the room; `null` where it does not. */
  readonly changed: readonly RoomEvent[] | null
  readonly isJoined: boolean
  /** Of a room that the user never was in, only how it ended for them. */
  readonly only: RoomEvent | undefined
}

export async function slidingRoom(deps: SlidingRoomDeps, viewer: Viewer, query: RoomQuery): Promise<RoomResult> {
  const { membership } = query.entry
  if (membership === 'invite' || membership === 'knock') return strippedRoom(query)
  using view = await openIfKept(deps.rooms, query.entry.roomId)
  const extent = view && (await extentOf(view, query))
  return view && extent ? wholeRoom(deps, viewer, { ...query, view, extent }) : lostRoom(deps, query)
}

function strippedRoom({ entry, connection, isDm, upTo, place }: RoomQuery): RoomResult {
  const before = connection.rooms.get(entry.roomId)
  const isKnown = before?.kind === 'stripped' && before.upTo >= entry.position
  const state = JSON.stringify(entry.strippedState ?? [])
  const parts = [
    '"initial":true',
    ...commonFields(entry, place.lists),
    `"bump_stamp":${entry.position}`,
    ...(isDm ? ['"is_dm":true'] : []),
    // Clients in use look for a knock's state where that of an invite is.
    `"invite_state":${state}`,
    ...(entry.membership === 'knock' ? [`"knock_state":${state}`] : []),
  ]
  return {
    text: isKnown && before.isDm === isDm ? undefined : `{${parts.join(',')}}`,
    sent: { ...NOTHING_SENT, kind: 'stripped', upTo, isDm, configKey: place.config.key },
    members: [],
    timeline: NO_EVENTS,
    isInitial: !isKnown,
  }
}

/** A room that this server does not have, such as one on another server whose invite was turned down. */
function lostRoom({ clock }: SlidingRoomDeps, { entry, connection, place, isDm }: RoomQuery): RoomResult {
  const before = connection.rooms.get(entry.roomId)
  const parts = [
    ...commonFields(entry, place.lists),
    `"bump_stamp":${entry.position}`,
    ...(isDm ? ['"is_dm":true'] : []),
    `"required_state":[${memberText(entry, clock.now())}]`,
  ]
  return { text: before && `{${parts.join(',')}}`, sent: null, members: [], timeline: NO_EVENTS, isInitial: false }
}

const NO_EVENTS: ReadonlySet<string> = new Set()
const NOTHING_SENT = { kind: 'whole', timelineLimit: 0, notifications: 0, highlights: 0 } as const

const commonFields = ({ membership }: MembershipEntry, lists: readonly string[]): readonly string[] => [
  `"membership":"${membership}"`,
  ...(lists.length > 0 ? [`"lists":${JSON.stringify(lists)}`] : []),
]

/** @returns `undefined` where the user's own membership is not to be found */
async function extentOf(view: RoomView, query: RoomQuery): Promise<Extent | undefined> {
  const { entry, connection, upTo } = query
  const { membership, position, userId } = entry
  const before = connection.rooms.get(entry.roomId)
  const since = before?.kind === 'whole' ? before.upTo : undefined
  if (membership !== 'join') return extentBehind(view, entry, since)
  const knowsRoom = since !== undefined && (position <= since || (await wasJoinedAt(view, userId, since)))
  const to = view.position > upTo ? await view.orderAfter(upTo) : view.latestOrder + 1
  const end = await stateAtEnd(view, to)
  return {
    from: knowsRoom ? await view.orderAfter(since) : view.earliestOrder,
    to,
    end,
    changed: knowsRoom ? await changesIn(view, since, upTo) : null,
    isJoined: true,
    only: undefined,
  }
}

/** Of a room that the user is in no more: up to when they were put out of it. */
async function extentBehind(
  view: RoomView,
  entry: MembershipEntry,
  since: number | undefined,
): Promise<Extent | undefined> {
  const member = await view.find(entry.eventId)
  if (!member) return undefined
  const isNews = since === undefined || entry.position > since
  const wasJoined = since !== undefined && isNews && (await wasJoinedAt(view, entry.userId, since))
  const wasIn = wasJoined || entry.previous === 'join'
  const knowsRoom = since !== undefined && (!isNews || wasJoined || !wasIn)
  const to = (member.order ?? view.latestOrder) + 1
  const from = knowsRoom ? Math.min(await view.orderAfter(since), to) : view.earliestOrder
  const end = await view.stateAt(to - 1)
  const changed = wasJoined ? await compareStates(view, from, end) : []
  return { from, to, end, changed: knowsRoom ? changed : null, isJoined: false, only: wasIn ? undefined : member }
}

interface WholeRoomQuery extends RoomQuery {
  readonly view: RoomView
  readonly extent: Extent
}

async function wholeRoom(deps: SlidingRoomDeps, viewer: Viewer, query: WholeRoomQuery): Promise<RoomResult> {
  const { view, extent, entry, place, connection, isDm, upTo } = query
  const { config } = place
  const before = extent.changed ? connection.rooms.get(entry.roomId) : undefined
  const { timeline, isExpanded } = await timelineOf(viewer, query, before)
  const required = extent.only
    ? { events: config.requiredState.matches(extent.only) ? [extent.only] : [], members: [] }
    : requiredEvents({
        connection,
        config,
        before: before && connection.configs.get(before.configKey),
        state: extent.end,
        changed: extent.changed,
        timeline,
      })
  const summary = extent.only
    ? []
    : summaryFields(viewer.userId, view, { ...extent, includeHeroes: config.includeHeroes })
  const unread = extent.isJoined ? (await deps.push.unread.ofRoom(viewer.userId, view)).total : NO_COUNTS
  const hasLeft = !extent.isJoined && (before === undefined || before.upTo < entry.position)
  const sent: SentRoom = {
    kind: 'whole',
    upTo,
    timelineLimit: timelineKnown(before, { limit: config.timelineLimit, limited: timeline.limited, isExpanded }),
    configKey: config.key,
    isDm,
    notifications: unread.notification_count,
    highlights: unread.highlight_count,
  }
  const isSilent =
    before !== undefined &&
    !hasLeft &&
    timeline.events.length === 0 &&
    !timeline.limited &&
    required.events.length === 0 &&
    summary.length === 0 &&
    before.isDm === isDm &&
    before.notifications === sent.notifications &&
    before.highlights === sent.highlights
  const result = { sent, members: required.members, isInitial: before === undefined }
  if (isSilent) return { ...result, text: undefined, timeline: NO_EVENTS }

  const since = connection.position
  const live = since === null ? 0 : timeline.events.filter(({ position }) => position > since).length
  const shown = { ...viewer, filter: NO_FILTER }
  const parts = [
    ...(before ? [] : ['"initial":true']),
    ...commonFields(entry, place.lists),
    `"bump_stamp":${extent.isJoined ? await deps.bumpStamps.of(view) : entry.position}`,
    ...summary,
    ...(isDm || (before?.isDm ?? false) ? [`"is_dm":${isDm}`] : []),
    `"required_state":[${(await renderEvents(view, shown, required.events)).join(',')}]`,
    `"timeline":[${(await renderEvents(view, shown, timeline.events, timeline.limited)).join(',')}]`,
    `"prev_batch":${JSON.stringify(timelineToken(timeline.startOrder))}`,
    `"limited":${timeline.limited}`,
    `"num_live":${live}`,
    ...(isExpanded ? ['"unstable_expanded_timeline":true'] : []),
    // Clients in use take counts that are left out for none.
    `"notification_count":${unread.notification_count},"highlight_count":${unread.highlight_count}`,
  ]
  const timelineIds = new Set(timeline.events.map(({ eventId }) => eventId))
  return { ...result, text: `{${parts.join(',')}}`, timeline: timelineIds }
}

const NO_COUNTS = { notification_count: 0, highlight_count: 0 }

/** The new events; where more are wanted than the client has, the newest of all. Spec: MSC4186 §Changes to `timeline_limit`. */
async function timelineOf(
  viewer: Viewer,
  { view, extent, place }: WholeRoomQuery,
  before: SentRoom | undefined,
): Promise<{ readonly timeline: Timeline; readonly isExpanded: boolean }> {
  const { from, to, only } = extent
  const { config } = place
  if (only) return { timeline: { events: [only], limited: false, startOrder: to - 1 }, isExpanded: false }
  const limited = { ...viewer, filter: { ...NO_FILTER, timelineLimit: config.timelineLimit } }
  const wantsMore = before !== undefined && config.timelineLimit > before.timelineLimit
  if (before && !wantsMore) return { timeline: await collectTimeline(view, limited, { from, to }), isExpanded: false }
  const collected = await collectTimeline(view, limited, { from: view.earliestOrder, to })
  const isWhole = !collected.limited && (await beginsWithCreation(view))
  const isExpanded = wantsMore && collected.events.some(({ order }) => order !== null && order < from)
  return { timeline: isWhole ? collected : { ...collected, limited: true }, isExpanded }
}

/** How many of the newest events the client has in a row. */
function timelineKnown(
  before: SentRoom | undefined,
  now: { readonly limit: number; readonly limited: boolean; readonly isExpanded: boolean },
): number {
  if (now.limited) return now.limit
  if (!before || now.limit > before.timelineLimit) return Number.POSITIVE_INFINITY
  return before.timelineLimit
}
