import { serverNameOf } from '../../../shared/matrix/identifiers.ts'
import { roomStateOf } from '../../protocol/auth-rules/index.ts'
import type { IdentifiedPdu } from '../../protocol/pdu.ts'
import { redact } from '../../protocol/redaction.ts'
import { type Op, put, remove } from '../../store/index.ts'
import { aggregateChanges, NO_CHANGES } from '../aggregates.ts'
import type { Membership, RoomEvent } from '../contract.ts'
import type { RoomsCore } from '../core.ts'
import { KeptEvent, membershipIn, redactedId } from '../event.ts'
import { countMembers, extremitiesAfter, type Heads, type StateChange, stateChanges } from '../heads.ts'
import type { MembershipChange, OpenRoom } from '../open-room.ts'
import { isShownInDirectory, publicRoomOf, publishedRow } from '../published-rooms.ts'
import { purgedForm } from '../purge.ts'
import { type EventLinks, linksOf, relationIn } from '../relation.ts'
import { type GroupedState, resolveGroups, stateOfGroup } from '../resolve.ts'
import { isGone } from '../retention.ts'
import { stateSlot, withRedacted } from '../state-map.ts'
import {
  currentState,
  outlierRow,
  outliers,
  pendingRedactions,
  publishedRooms,
  replacement,
  roomIndex,
  roomServerKey,
  roomServers,
  stateRow,
} from '../store.ts'
import { strippedStateFor } from '../stripped-state.ts'
import type { Judgement } from './authorize.ts'

/** What is to be written together with an event. */
export interface Accompanying {
  readonly local?: RoomEvent['local']
  /** Further writes of the same commit. */
  readonly ops?: (event: KeptEvent, position: number) => readonly Op[]
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
    /** It was kept without a place in the timeline before. */
    readonly wasOutlier?: boolean
    /** See `KeptEvent`. */
    readonly isRelayed?: boolean
  },
  accompanying: Accompanying = {},
): Promise<{ readonly durable: Promise<KeptEvent> }> {
  const { before, judgement } = judged
  const { head, rules, roomId } = room
  const { pdu, eventId } = judged.event
  const isAccepted = judgement.outcome === 'accepted'
  const isState = pdu.state_key !== undefined && judgement.outcome !== 'rejected'
  const groupIds = before.newGroup ? [before.newGroup.id] : []
  const groupOps = before.newGroup ? [before.newGroup.op] : []

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
    groupIds.push(added.id)
    groupOps.push(added.op)
  }

  const redactionNow = await redactionBy(room, pdu, before, judgement)
  if (redactionNow.outcome === 'withheld') room.isWithoutWaitingRedactions = false
  const earlyRedaction = await waitingRedactionOf(room, judged.event)
  const order = head.latestOrder + 1
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
      wasOutlier: judged.wasOutlier ?? false,
      isRelayed: judged.isRelayed ?? false,
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
  if (earlyRedaction) redacted.push(earlyRedaction.with({ isWithheld: false }))

  const stateAfter = isState ? before.state.with(pdu.type, pdu.state_key ?? '', event) : before.state
  let heads: Heads = { ...head, latestOrder: head.latestOrder + 1 }
  let changes: readonly StateChange[] = []
  if (isAccepted) {
    const extremities = extremitiesAfter(head, event, rules)
    let current: GroupedState = { group: groupAfter, state: stateAfter }
    if (extremities.length > 1) {
      room.keepState(groupAfter, stateAfter)
      current = await resolveGroups(
        room,
        extremities.map(({ group }) => group),
        event,
      )
      if (current.newGroup) {
        groupIds.push(current.newGroup.id)
        groupOps.push(current.newGroup.op)
      }
    }
    changes =
      before.state === head.state && current.state === stateAfter
        ? isState
          ? [{ type: pdu.type, stateKey: pdu.state_key ?? '', before: replaced, after: event }]
          : []
        : stateChanges(head.state, current.state)
    heads = { ...heads, extremities, group: current.group, state: current.state, ...countMembers(head, changes) }
  }
  for (const target of redacted) heads = { ...heads, state: withRedacted(heads.state, target) }

  const memberships = await membershipChanges(core, room, event, changes, heads)
  const isFirstRemote =
    !room.hadRemoteMembers &&
    changes.some(({ type, stateKey, after }) => type === 'm.room.member' && after && !core.isLocal(stateKey))
  if (isFirstRemote) room.hadRemoteMembers = true
  const isListed = room.isPublished && changes.some(({ type }) => isShownInDirectory(type))
  const summaryOp = isListed
    ? [put(publishedRooms, publishedRow(publicRoomOf(roomId, heads.state, heads.joined.size)))]
    : []
  const target = redactionNow.outcome === 'applies' ? redactionNow.target : undefined
  const lifetime = changes.find(({ type, stateKey }) => type === 'm.room.retention' && stateKey === '')
  const aggregates = links || target?.links ? await aggregateChanges(room, event, target) : NO_CHANGES
  const durable = room.stage({
    event,
    heads,
    changes,
    memberships,
    groupIds,
    redacted,
    aggregates,
    ops: (position) => [
      ...groupOps,
      ...redactedStateOps(room, heads, redacted),
      ...waitingOps(roomId, event, redactionNow, earlyRedaction),
      ...summaryOp,
      ...(lifetime ? core.retention.policyOps(roomId, lifetime.after) : []),
      ...(isFirstRemote ? [put(roomIndex, room.row)] : []),
      ...serverOps(core, roomId, head.servers, heads.servers),
      ...(judged.wasOutlier ? [remove(outliers, eventId, roomId)] : []),
      ...(accompanying.ops?.(event, position) ?? []),
    ],
  })
  return { durable }
}

/** Other servers that came into the room, or left it. */
function serverOps(
  { environment: { serverName } }: RoomsCore,
  roomId: string,
  before: Heads['servers'],
  after: Heads['servers'],
): readonly Op[] {
  if (before === after) return []
  const ops: Op[] = []
  for (const server of after.keys()) {
    if (server === serverName || before.has(server)) continue
    ops.push(put(roomServers, { key: roomServerKey(roomId, server), roomId, server }))
  }
  for (const server of before.keys()) {
    if (!after.has(server)) ops.push(remove(roomServers, roomServerKey(roomId, server)))
  }
  return ops
}

/** Keeps an event that has no place in the timeline. Only within `room.enter`. */
export function stageOutlier(
  room: OpenRoom,
  { eventId, pdu }: IdentifiedPdu,
  json: string,
  judgement: Judgement,
): { readonly durable: Promise<KeptEvent> } {
  const rejected = judgement.outcome === 'rejected' ? judgement.how : undefined
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
      rejected,
    },
    pdu,
  )
  const durable = room.stage({
    event,
    heads: room.head,
    changes: [],
    memberships: [],
    groupIds: [],
    redacted: [],
    aggregates: NO_CHANGES,
    ops: () => [put(outliers, outlierRow(event), room.roomId)],
  })
  return { durable }
}

function redactedForm(target: KeptEvent, because: KeptEvent, room: OpenRoom): KeptEvent {
  return target.with({ json: JSON.stringify(redact(target.pdu, room.rules)), redactedBecause: because })
}

/** Where an event that relates to another is found. */
async function findLinks(
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

type RedactionNow =
  | { readonly outcome: 'none' }
  | { readonly outcome: 'applies'; readonly target: KeptEvent }
  /** It is kept, but not shown. `waitsFor`: the event that must come first. */
  | { readonly outcome: 'withheld'; readonly waitsFor?: string | undefined }

/** What a redaction does as it comes in. Spec: rooms/v3 §Handling redactions; rooms/v1 §Authorisation rules, 11. */
async function redactionBy(
  room: OpenRoom,
  pdu: IdentifiedPdu['pdu'],
  before: GroupedState,
  judgement: Judgement,
): Promise<RedactionNow> {
  if (pdu.type !== 'm.room.redaction' || judgement.outcome !== 'accepted') return { outcome: 'none' }
  const targetId = redactedId(pdu, room.rules)
  const target = targetId === undefined ? undefined : await room.find(targetId)
  if (!target) return { outcome: 'withheld', waitsFor: targetId }
  if (!mayRedact(room, pdu, target, before)) return { outcome: 'withheld' }
  return target.redactedBecause ? { outcome: 'none' } : { outcome: 'applies', target }
}

function mayRedact(
  room: OpenRoom,
  redaction: IdentifiedPdu['pdu'],
  target: { readonly pdu: IdentifiedPdu['pdu'] },
  before: GroupedState,
): boolean {
  if (room.rules.redactionsCheckedByAuthRules) return true
  const state = roomStateOf((type, stateKey) => before.state.get(type, stateKey), room.rules)
  return (
    state.power(redaction.sender) >= state.powerNeeded('redact') ||
    serverNameOf(redaction.sender) === serverNameOf(target.pdu.sender)
  )
}

/** A redaction that came before the event that it is aimed at, if it may redact it. */
async function waitingRedactionOf(room: OpenRoom, event: IdentifiedPdu): Promise<KeptEvent | undefined> {
  if (room.isWithoutWaitingRedactions) return undefined
  const rows = await room.lease.range(pendingRedactions, {
    index: 'target',
    from: event.eventId,
    to: `${event.eventId}\u0000`,
  })
  for (const row of rows) {
    const redaction = await room.find(row.eventId)
    if (!redaction) continue
    const state = await stateOfGroup(room, redaction.groupBefore)
    if (mayRedact(room, redaction.pdu, event, { group: redaction.groupBefore, state })) return redaction
  }
  return undefined
}

function waitingOps(
  roomId: string,
  event: KeptEvent,
  redaction: RedactionNow,
  early: KeptEvent | undefined,
): readonly Op[] {
  const ops: Op[] = []
  if (redaction.outcome === 'withheld' && redaction.waitsFor !== undefined) {
    ops.push(put(pendingRedactions, { eventId: event.eventId, target: redaction.waitsFor }, roomId))
  }
  if (early) ops.push(remove(pendingRedactions, early.eventId, roomId))
  return ops
}

/** Rows of the current state that show content which was redacted: the event's own, or that of the one it replaced. */
function redactedStateOps(room: OpenRoom, heads: Heads, redacted: readonly KeptEvent[]): readonly Op[] {
  const ops: Op[] = []
  for (const { eventId, pdu } of redacted) {
    const { type, state_key: stateKey } = pdu
    const current = stateKey === undefined ? undefined : heads.state.get(type, stateKey)
    if (!current || (current.eventId !== eventId && current.replaces?.eventId !== eventId)) continue
    const since = room.stateLog.since(current)
    ops.push(put(currentState, stateRow(stateSlot(type, stateKey ?? ''), since, current), room.roomId))
  }
  return ops
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
      previous: membershipIn(before) ?? null,
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
