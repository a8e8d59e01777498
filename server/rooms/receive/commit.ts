import type { IdentifiedPdu } from '../../protocol/pdu.ts'
import { type Op, put, remove } from '../../store/index.ts'
import { aggregateChanges, NO_CHANGES } from '../aggregates.ts'
import type { Membership, RoomEvent } from '../contract.ts'
import type { RoomsCore } from '../core.ts'
import { KeptEvent, membershipIn } from '../event.ts'
import { type Gap, gapOps, newGap, withGap, withMissing } from '../gaps.ts'
import { countMembers, extremitiesAfter, type Heads, type StateChange, stateChanges } from '../heads.ts'
import type { MembershipChange, OpenRoom } from '../open-room.ts'
import { withPartialServers } from '../partial-state.ts'
import { isShownInDirectory, publishedRow } from '../published-rooms.ts'
import { namingIn, purgedForm } from '../purge.ts'
import { type EventLinks, linksOf, relationIn } from '../relation.ts'
import { type GroupedState, resolveGroups } from '../resolve.ts'
import { isGone } from '../retention.ts'
import { serverChangeOps } from '../room-servers.ts'
import { stateSlot, withRedacted } from '../state-map.ts'
import { outlierRow, outliers, publishedRooms, replacement, roomIndex } from '../store.ts'
import { strippedStateFor } from '../stripped-state.ts'
import type { Judgement } from './authorize.ts'
import { redactedForm, redactedStateOps, redactionBy, waitingOps, waitingRedactionOf } from './redactions.ts'

/** What is to be written together with an event. */
export interface Accompanying {
  readonly local?: RoomEvent['local']
  /** Further writes of the same commit. */
  readonly ops?: (event: Pick<KeptEvent, 'eventId'>, position: number) => readonly Op[]
}

/**
 * Step 7: builds a judged event into the room, to be committed with all that follows from it: its place, the state after it,
 * the extremities, memberships, redactions. Only within `room.enter`.
 *
 * @returns the event once it is durable and announced
 */
export async function stageEvent(
  core: RoomsCore,
  room: OpenRoom,
  judged: {
    readonly event: IdentifiedPdu
    readonly json: string
    readonly before: GroupedState
    readonly judgement: Judgement
    /** The event as it was kept without a place in the timeline before. */
    readonly outlier?: KeptEvent | undefined
    /** Of its previous events, those that are not known and will not be fetched now. */
    readonly missing?: readonly string[]
    /** The gap that they are from; without it there is a new one below the event. */
    readonly missingFrom?: Gap | undefined
    /** Events that it stands for besides its previous events: those before one that nothing is built on. */
    readonly behind?: ReadonlySet<string>
    /** What was known before counts no more: the room was out of sight, and `before` is all there is. */
    readonly startsAnew?: boolean
    /** See `EventFacts`. */
    readonly isRelayed?: boolean
    readonly isHandedOver?: boolean
  },
  accompanying: Accompanying = {},
): Promise<{ readonly durable: Promise<KeptEvent> }> {
  const { before, judgement } = judged
  const { head, rules, roomId } = room
  const { pdu, eventId } = judged.event
  const isAccepted = judgement.outcome === 'accepted'
  const isRejected = judgement.outcome === 'rejected'
  const isState = pdu.state_key !== undefined && !isRejected
  const newGroups = [...(before.newGroups ?? [])]

  let groupAfter = before.group
  const replaced = isState ? before.state.get(pdu.type, pdu.state_key) : undefined
  if (isState) {
    const slot = stateSlot(pdu.type, pdu.state_key ?? '')
    const size = before.state.size + (replaced ? 0 : 1)
    const added = room.groups.add(before.group, new Map([[slot, eventId]]), size, () => {
      const all = new Map<string, string>()
      for (const other of before.state.all())
        all.set(stateSlot(other.pdu.type, other.pdu.state_key ?? ''), other.eventId)
      return all.set(slot, eventId)
    })
    groupAfter = added.id
    newGroups.push(added)
  }

  const redactionNow = await redactionBy(room, pdu, before, judgement)
  if (redactionNow.outcome === 'withheld') room.isWithoutWaitingRedactions = false
  const earlyRedaction = judged.outlier?.redactedBecause ?? (await waitingRedactionOf(room, judged.event))
  const { missing = [], missingFrom } = judged
  const lacks = missing.length > 0 && !isRejected
  const gap = lacks && !missingFrom ? newGap(head.latestOrder, missing) : undefined
  const order = gap?.top ?? head.latestOrder + 1
  const rank = pdu.state_key === undefined ? undefined : (judged.outlier?.rank ?? Math.max(head.latestRank + 1, order))
  const links = isAccepted && !earlyRedaction ? await findLinks(room, judged.event, order) : undefined
  const asReceived = new KeptEvent(
    {
      rules,
      eventId,
      roomId,
      json: judged.json,
      order,
      position: 0,
      groupBefore: before.group,
      groupAfter,
      isSoftFailed: judgement.outcome === 'softFailed',
      rejected: judgement.outcome === 'rejected' ? judgement.how : undefined,
      isWithheld: redactionNow.outcome === 'withheld',
      rank,
      isRelayed: judged.isRelayed ?? false,
      isHandedOver: judged.isHandedOver ?? false,
      replaces: replaced && replacement(replaced),
      local: accompanying.local,
      links,
    },
    pdu,
  )
  const shown = earlyRedaction ? redactedForm(asReceived, earlyRedaction, room) : asReceived
  // What is too old when it comes is never kept, as from another server that hands out history.
  const event = isGone(core.retention.boundsOf(roomId, head.state), shown) ? purgedForm(shown) : shown
  const redacted = redactionNow.outcome === 'applies' ? [redactedForm(redactionNow.target, event, room)] : []
  if (earlyRedaction?.isWithheld) redacted.push(earlyRedaction.with({ isWithheld: false }))

  const stateAfter = isState ? before.state.with(pdu.type, pdu.state_key ?? '', event) : before.state
  const gaps = gap ? withGap(head.gaps, gap) : lacks ? withMissing(head.gaps, missingFrom, missing) : head.gaps
  let heads: Heads = { ...head, latestOrder: order, latestRank: Math.max(head.latestRank, rank ?? 0), gaps }
  let changes: readonly StateChange[] = []
  let ends: readonly number[] | undefined
  if (isAccepted) {
    const extremities = extremitiesAfter(judged.startsAnew ? [] : head.extremities, event, rules, judged.behind)
    let current: GroupedState = { group: groupAfter, state: stateAfter }
    if (extremities.length > 1) {
      ends = extremities.map(({ group }) => group)
      room.keepState(groupAfter, stateAfter)
      current = room.resolvedNow(ends) ?? (await resolveGroups(room, ends, event))
      newGroups.push(...(current.newGroups ?? []))
    }
    changes =
      before.state === head.state && current.state === stateAfter
        ? isState
          ? [{ type: pdu.type, stateKey: pdu.state_key ?? '', before: replaced, after: event }]
          : []
        : current.state === head.state
          ? []
          : stateChanges(head.state, current.state)
    const members = withPartialServers(countMembers(head, changes), room.partial)
    heads = { ...heads, extremities, group: current.group, state: current.state, ...members }
  }
  for (const target of redacted) heads = { ...heads, state: withRedacted(heads.state, target) }

  const memberships = await membershipChanges(core, room, event, changes, heads)
  const isFirstRemote =
    !room.hadRemoteMembers &&
    changes.some(({ type, stateKey, after }) => type === 'm.room.member' && after && !core.isLocal(stateKey))
  if (isFirstRemote) room.hadRemoteMembers = true
  const isListed = room.isPublished && changes.some(({ type }) => isShownInDirectory(type))
  const summaryOp = isListed ? [put(publishedRooms, publishedRow(roomId, heads.state, heads.joined.size))] : []
  const target = redactionNow.outcome === 'applies' ? redactionNow.target : undefined
  const lifetime = changes.find(({ type, stateKey }) => type === 'm.room.retention' && stateKey === '')
  const aggregates = links || target?.links ? await aggregateChanges(room, event, target) : NO_CHANGES
  const serverOps = await serverChangeOps(core, room, event, { before: head.servers, after: heads.servers })
  const references = core.media?.change([namingIn(event)], target ? [namingIn(target)] : [])
  const durable = room.stage({
    event,
    heads,
    changes,
    memberships,
    groupIds: newGroups.map(({ id }) => id),
    redacted,
    aggregates,
    ops: (position) => [
      ...newGroups.map(({ op }) => op),
      ...redactedStateOps(room, heads, redacted),
      ...waitingOps(roomId, event, redactionNow, earlyRedaction),
      ...summaryOp,
      ...(lifetime ? core.retention.policyOps(roomId, lifetime.after) : []),
      ...(isFirstRemote ? [put(roomIndex, room.row)] : []),
      ...gapOps(roomId, head.gaps, gaps),
      ...serverOps(position),
      ...(judged.outlier ? [remove(outliers, eventId, roomId)] : []),
      ...(references?.ops() ?? []),
      ...(target ? [core.erasures.note(roomId, position)] : []),
      ...(accompanying.ops?.(event, position) ?? []),
    ],
  })
  durable.catch(() => references?.undo())
  // Its own state may have changed since by what it redacts.
  if (ends && redacted.length === 0) room.keepResolved(ends, heads)
  return { durable }
}

/** Keeps an event that has no place in the timeline. Only within `room.enter`. */
export function stageOutlier(
  room: OpenRoom,
  { eventId, pdu }: IdentifiedPdu,
  json: string,
  judgement: Judgement,
): { readonly event: KeptEvent; readonly durable: Promise<KeptEvent> } {
  const rejected = judgement.outcome === 'rejected' ? judgement.how : undefined
  const { head } = room
  const latestRank = Math.max(head.latestRank, head.latestOrder) + 1
  const event = new KeptEvent(
    {
      rules: room.rules,
      eventId,
      roomId: room.roomId,
      json,
      order: null,
      position: 0,
      groupBefore: 0,
      groupAfter: 0,
      rank: latestRank,
      rejected,
    },
    pdu,
  )
  const durable = room.stage({
    event,
    heads: { ...head, latestRank },
    changes: [],
    memberships: [],
    groupIds: [],
    redacted: [],
    aggregates: NO_CHANGES,
    ops: () => [put(outliers, outlierRow(event), room.roomId)],
  })
  return { event, durable }
}

/** Where an event that relates to another is found. */
export async function findLinks(
  room: OpenRoom,
  { eventId, pdu }: IdentifiedPdu,
  order: number,
): Promise<EventLinks | undefined> {
  const relation = relationIn(pdu)
  if (!relation) return undefined
  const parent = await room.find(relation.parent)
  // A relation that is redacted is none any more.
  const isRelated = parent !== undefined && !parent.isHidden && relationIn(parent.pdu) !== undefined
  return linksOf({ eventId, pdu, order }, relation, isRelated ? parent.links : undefined)
}

/** What the changes of state make of our own users' memberships. */
async function membershipChanges(
  core: RoomsCore,
  room: OpenRoom,
  event: KeptEvent,
  changes: readonly StateChange[],
  heads: Heads,
): Promise<readonly MembershipChange[]> {
  const result: MembershipChange[] = []
  for (const { type, stateKey: userId, before, after } of changes) {
    if (type !== 'm.room.member' || !core.isLocal(userId)) continue
    // State resolution may take a membership away altogether: the user is then as one who left.
    const membership: Membership = membershipIn(after) ?? 'leave'
    const source = after ?? event
    const wasJoined = membershipIn(before) === 'join'
    const old = wasJoined ? undefined : await room.membershipAtHead(userId)
    const isOut = membership === 'leave' || membership === 'ban'
    result.push({
      roomId: room.roomId,
      userId,
      membership,
      eventId: source.eventId,
      sender: source.pdu.sender,
      previous: membershipIn(before) ?? old?.membership ?? null,
      isForgotten: isOut && (old?.isForgotten ?? false),
      strippedState:
        membership === 'invite' || membership === 'knock' ? strippedStateFor(source, heads.state) : undefined,
      ...(membership === 'join'
        ? { leftOrder: null, leftGroup: null }
        : wasJoined
          ? { leftOrder: event.order, leftGroup: event.groupAfter }
          : { leftOrder: old?.leftOrder ?? null, leftGroup: old?.leftGroup ?? null }),
      joinOrder: membership === 'join' ? source.order : wasJoined ? (before?.order ?? null) : (old?.joinOrder ?? null),
    })
  }
  return result
}
