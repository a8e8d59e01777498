/**
 * The entries of rooms that the viewer has left, is invited to or knocks on.
 * Spec: data/api/client-server/sync.yaml, Left Room, Invited Room, Knocked Room.
 */

import { MatrixError } from '../../shared/matrix/errors.ts'
import type { AccountDataEntry } from '../accounts/index.ts'
import type { MembershipEntry, RoomEvent, RoomsForReaders, RoomView } from '../rooms/index.ts'
import { accountDataTexts, type RoomDeps, type RoomEntry, type RoomFacts, wasJoinedAt } from './joined-room.ts'
import { clientKey, eventsText, renderEvents, selectState, timelineText } from './room-parts.ts'
import { changedState, compareStates, wholeState } from './room-state.ts'
import { collectTimeline, type Timeline } from './timeline.ts'
import type { Span, Viewer } from './viewer.ts'

export function strippedRoomText(entry: MembershipEntry): string {
  const key = entry.membership === 'knock' ? 'knock_state' : 'invite_state'
  return `{"${key}":{"events":${JSON.stringify(entry.strippedState ?? [])}}}`
}

/**
 * A room that the viewer left or was banned from: what happened up to then. Of a room that they never joined there is only
 * the event by which the invite or knock ended.
 */
export async function leftRoom(
  deps: RoomDeps,
  viewer: Viewer,
  span: Span,
  query: { readonly entry: MembershipEntry; readonly accountData: readonly AccountDataEntry[] },
): Promise<RoomEntry> {
  const { entry } = query
  using view = await openIfKept(deps.rooms, entry.roomId)
  const member = await view?.find(entry.eventId)
  if (!view || !member) return unknownRoom(viewer, entry, deps.clock.now())
  const { since } = span
  const to = (member.order ?? view.latestOrder) + 1
  const knowsRoom = since !== null && (await wasJoinedAt(view, viewer.userId, since))
  const wasIn = knowsRoom || entry.previous === 'join'
  const stretch = { from: knowsRoom ? await view.orderAfter(since) : view.earliestOrder, to }
  const timeline = wasIn ? await collectTimeline(view, viewer, stretch) : onlyThis(member, viewer)
  const state = wasIn ? await stateOf(deps, viewer, { view, stretch, timeline, knowsRoom, since: since ?? 0 }) : []
  if (viewer.filter.state.lazyLoadMembers) {
    deps.lazyMembers.note(clientKey(viewer), span.upTo, [...state, ...timeline.events])
  }
  const accountData = accountDataTexts(viewer, view.roomId, query.accountData)
  const parts = [
    `"${viewer.useStateAfter ? 'state_after' : 'state'}":${eventsText(await renderEvents(view, viewer, state))}`,
    `"timeline":${await timelineText(view, viewer, timeline)}`,
    `"account_data":${eventsText(accountData)}`,
  ]
  return {
    text: `{${parts.join(',')}}`,
    facts: {
      met: [],
      parted: since === null || !wasIn ? [] : [...view.joined()],
    },
  }
}

/** Whom the viewer met last in a room that they left in a span: the facts of `leftRoom` without its entry. */
export async function leftRoomFacts(rooms: RoomsForReaders, entry: MembershipEntry, since: number): Promise<RoomFacts> {
  using view = await openIfKept(rooms, entry.roomId)
  const wasIn = view !== undefined && (entry.previous === 'join' || (await wasJoinedAt(view, entry.userId, since)))
  if (!wasIn) return { met: [], parted: [] }
  return { met: [], parted: [...view.joined()] }
}

/** The room, unless this server never had it. */
export async function openIfKept(rooms: RoomsForReaders, roomId: string): Promise<RoomView | undefined> {
  try {
    return await rooms.open(roomId)
  } catch (error) {
    // An invite from another server may be turned down without our ever having had the room.
    if (error instanceof MatrixError && error.status === 404) return undefined
    throw error
  }
}

function onlyThis(member: RoomEvent, viewer: Viewer): Timeline {
  const order = member.order ?? 0
  const isShown = viewer.filter.timeline.passes(member.pdu) && viewer.filter.timeline.passesRoom(member.roomId)
  return { events: isShown ? [member] : [], limited: false, startOrder: order }
}

async function stateOf(
  deps: RoomDeps,
  viewer: Viewer,
  query: {
    readonly view: RoomView
    readonly stretch: { readonly from: number; readonly to: number }
    readonly timeline: Timeline
    readonly knowsRoom: boolean
    readonly since: number
  },
): Promise<readonly RoomEvent[]> {
  const { view, stretch, timeline, knowsRoom, since } = query
  const isAfter = viewer.useStateAfter
  const end = await view.stateAt(stretch.to - 1)
  const stateQuery = { view, stretch, timeline, isAfter, end }
  const isWhole = !knowsRoom || viewer.fullState
  const events = isWhole
    ? await wholeState(stateQuery)
    : await changedState(stateQuery, await compareStates(view, stretch.from, end))
  const isLazy = viewer.filter.state.lazyLoadMembers
  return selectState({
    viewer,
    view,
    timeline,
    events,
    areChanges: !isWhole,
    members: isAfter || !isLazy ? end : await view.stateAt(timeline.startOrder - 1),
    alsoNeeded: [viewer.userId],
    isAfter,
    since,
    lazyMembers: deps.lazyMembers,
  })
}

/** The viewer's member event of a room that this server does not have. */
export function memberText({ membership, eventId, sender, userId }: MembershipEntry, nowTs: number): string {
  return JSON.stringify({
    type: 'm.room.member',
    state_key: userId,
    sender,
    event_id: eventId,
    origin_server_ts: nowTs,
    content: { membership },
  })
}

/** All that a client needs to put the room away. */
function unknownRoom(viewer: Viewer, entry: MembershipEntry, nowTs: number): RoomEntry {
  const text = memberText(entry, nowTs)
  const state = viewer.useStateAfter ? `"state_after":{"events":[${text}]}` : '"state":{"events":[]}'
  return {
    text: `{${state},"timeline":{"events":[${text}],"limited":false},"account_data":{"events":[]}}`,
    facts: { met: [], parted: [] },
  }
}
