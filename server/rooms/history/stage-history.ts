import type { IdentifiedPdu } from '../../protocol/pdu.ts'
import { type Op, put, remove } from '../../store/index.ts'
import { aggregateChanges, NO_CHANGES } from '../aggregates.ts'
import type { RoomsCore } from '../core.ts'
import { KeptEvent } from '../event.ts'
import { type Gap, gapOps } from '../gaps.ts'
import type { Heads } from '../heads.ts'
import type { OpenRoom } from '../open-room.ts'
import { namingIn, purgedForm } from '../purge.ts'
import { judge, loadAuthEvents } from '../receive/authorize.ts'
import { findLinks } from '../receive/commit.ts'
import { redactedForm, redactedStateOps, redactionBy, waitingOps, waitingRedactionOf } from '../receive/redactions.ts'
import { keptJson } from '../receive/verify.ts'
import type { GroupedState } from '../resolve.ts'
import { isGone } from '../retention.ts'
import { stateSlot, withRedacted } from '../state-map.ts'
import { currentState, outliers, replacement, stateRow } from '../store.ts'

/**
 * Builds an event into the room's past: it gets a place in a gap of the timeline, and changes neither the room's ends nor its
 * current state. It is judged by steps 4 and 5 alone; where they reject it, it keeps its place and is not shown. What has
 * expired, or was purged, comes back without its content. Only within `room.enter`.
 *
 * @param placed.before the state before it
 * @param placed.gaps the room's gaps afterwards
 */
export async function stageHistory(
  core: RoomsCore,
  room: OpenRoom,
  placed: {
    readonly event: IdentifiedPdu
    readonly order: number
    readonly before: GroupedState
    readonly gaps: readonly Gap[]
  },
): Promise<{ readonly durable: Promise<KeptEvent> }> {
  const { order, before, gaps } = placed
  const { head, rules, roomId } = room
  const { eventId, pdu } = placed.event
  const outlier = await room.find(eventId)
  const eventById = await loadAuthEvents(room, placed.event)
  const judgement = judge({ event: placed.event, rules, eventById, before: before.state, current: before.state })
  const isRejected = judgement.outcome === 'rejected'
  const isState = pdu.state_key !== undefined && !isRejected
  const newGroups = [...(before.newGroups ?? [])]
  const replaced = isState ? before.state.get(pdu.type, pdu.state_key) : undefined
  let groupAfter = before.group
  if (isState) {
    const slot = stateSlot(pdu.type, pdu.state_key ?? '')
    const added = room.groups.add(
      before.group,
      new Map([[slot, eventId]]),
      before.state.size + (replaced ? 0 : 1),
      () => {
        const all = new Map<string, string>()
        for (const other of before.state.all()) {
          all.set(stateSlot(other.pdu.type, other.pdu.state_key ?? ''), other.eventId)
        }
        return all.set(slot, eventId)
      },
    )
    groupAfter = added.id
    newGroups.push(added)
  }
  const redaction = await redactionBy(room, pdu, before, judgement)
  if (redaction.outcome === 'withheld') room.isWithoutWaitingRedactions = false
  const early = outlier?.redactedBecause ?? (await waitingRedactionOf(room, placed.event))
  const rank =
    pdu.state_key === undefined ? undefined : (outlier?.rank ?? Math.max(head.latestRank, head.latestOrder) + 1)
  const links = isRejected || early ? undefined : await findLinks(room, placed.event, order)
  const asReceived = new KeptEvent(
    {
      rules,
      eventId,
      roomId,
      json: keptJson(placed.event),
      order,
      position: 0,
      groupBefore: before.group,
      groupAfter,
      rejected: judgement.outcome === 'rejected' ? judgement.how : undefined,
      isWithheld: redaction.outcome === 'withheld',
      rank,
      replaces: replaced && replacement(replaced),
      links,
    },
    pdu,
  )
  const shown = early ? redactedForm(asReceived, early, room) : asReceived
  const event = isGone(core.retention.boundsOf(roomId, head.state), shown) ? purgedForm(shown) : shown
  const target = redaction.outcome === 'applies' ? redaction.target : undefined
  const redacted = target ? [redactedForm(target, event, room)] : []
  if (early?.isWithheld) redacted.push(early.with({ isWithheld: false }))
  let heads: Heads = {
    ...head,
    gaps,
    earliestOrder: Math.min(head.earliestOrder, order),
    latestRank: Math.max(head.latestRank, rank ?? 0),
  }
  const current = pdu.state_key === undefined ? undefined : head.state.get(pdu.type, pdu.state_key)
  const isCurrent = current?.eventId === eventId
  if (isCurrent) heads = { ...heads, state: head.state.with(pdu.type, pdu.state_key ?? '', event) }
  for (const one of redacted) heads = { ...heads, state: withRedacted(heads.state, one) }
  const aggregates = event.links || target?.links ? await aggregateChanges(room, event, target) : NO_CHANGES
  const references = core.media?.change([namingIn(event)], target ? [namingIn(target)] : [])
  const durable = room.stage({
    event,
    heads,
    changes: [],
    memberships: [],
    groupIds: newGroups.map(({ id }) => id),
    redacted,
    aggregates,
    isHistory: true,
    ops: (position) => [
      ...newGroups.map(({ op }) => op),
      ...(isCurrent ? [placedStateOp(room, event, current)] : []),
      ...redactedStateOps(room, heads, redacted),
      ...waitingOps(roomId, event, redaction, early),
      ...gapOps(roomId, head.gaps, gaps),
      ...(outlier ? [remove(outliers, eventId, roomId)] : []),
      ...(references?.ops() ?? []),
      ...(target ? [core.erasures.note(roomId, position)] : []),
    ],
  })
  durable.catch(() => references?.undo())
  return { durable }
}

/** The row of the current state, where the event was known without its place. */
function placedStateOp(room: OpenRoom, event: KeptEvent, before: KeptEvent): Op {
  const since = room.stateLog.since(before)
  room.stateLog.keep(event.eventId, since)
  return put(currentState, stateRow(stateSlot(event.pdu.type, event.pdu.state_key ?? ''), since, event), room.roomId)
}
