/** What redactions do as they come in, before or after what they are aimed at. Spec: rooms/v3 §Handling redactions. */
import { serverNameOf } from '../../../shared/matrix/identifiers.ts'
import { roomStateOf } from '../../protocol/auth-rules/index.ts'
import type { IdentifiedPdu } from '../../protocol/pdu.ts'
import { redact } from '../../protocol/redaction.ts'
import { type Op, put, remove } from '../../store/index.ts'
import { type KeptEvent, redactedId } from '../event.ts'
import type { Heads } from '../heads.ts'
import type { OpenRoom } from '../open-room.ts'
import { type GroupedState, stateOfGroup } from '../resolve.ts'
import { stateSlot } from '../state-map.ts'
import { currentState, pendingRedactions, stateRow } from '../store.ts'
import type { Judgement } from './authorize.ts'

/** The event as it is once another one has taken its content away. */
export function redactedForm(target: KeptEvent, because: KeptEvent, room: OpenRoom): KeptEvent {
  return target.with({ json: JSON.stringify(redact(target.pdu, room.rules)), redactedBecause: because })
}

export type RedactionNow =
  | { readonly outcome: 'none' }
  | { readonly outcome: 'applies'; readonly target: KeptEvent }
  /** It is kept, but not shown. `waitsFor`: the event that must come first. */
  | { readonly outcome: 'withheld'; readonly waitsFor?: string | undefined }

/** What a redaction does as it comes in. Spec: rooms/v3 §Handling redactions; rooms/v1 §Authorisation rules, 11. */
export async function redactionBy(
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
export async function waitingRedactionOf(room: OpenRoom, event: IdentifiedPdu): Promise<KeptEvent | undefined> {
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

/** Notes redactions that wait for what they are aimed at, and those that need not wait any more. */
export function waitingOps(
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
export function redactedStateOps(room: OpenRoom, heads: Heads, redacted: readonly KeptEvent[]): readonly Op[] {
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
