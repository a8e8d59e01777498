/**
 * State resolution: one state out of several. Spec: rooms/v1 §State resolution, rooms/v2 and v12 §State resolution.
 */
import { type AuthEnvironment, type EventLookup, verifiedOnReceipt } from '../auth-rules/index.ts'
import type { RoomVersionRules } from '../room-versions.ts'
import type { Ranks } from './auth-difference.ts'
import { findConflict, settle } from './conflict.ts'
import { knownEvents } from './known-events.ts'
import { onOneBase, type StateMap, type StateSet } from './state-map.ts'
import { resolveV1 } from './v1.ts'
import { resolveV2 } from './v2.ts'

export type { Ranks } from './auth-difference.ts'
export { entryOf, type StateMap, type StateSet, stateMapKey, toMap } from './state-map.ts'

export interface ResolutionInput {
  readonly roomId: string
  readonly rules: RoomVersionRules
  /**
   * The states after each of the previous events, in any order: as full maps, or, for large rooms, as what sets them apart
   * from one shared base.
   */
  readonly states: readonly (StateSet | StateMap)[]
  /** Must know the states' events and their auth chains, rejected ones too. Asked at most once for each event. */
  readonly eventById: EventLookup
  /** Without it the auth chains of the whole state are walked, not only those of the conflict. */
  readonly ranks?: Ranks | undefined
  readonly env?: AuthEnvironment
}

export interface Resolution {
  /** On the base of the first state. */
  readonly state: StateSet
  /** Events that the algorithm came upon and `eventById` did not know; it went on without them. */
  readonly missing: readonly string[]
}

/**
 * The resolution of a set of states, by the algorithm of the room's version. The order of the states does not matter.
 * Takes time and memory in proportion to the entries that the states do not agree on and to their auth chains (back to
 * where those of all states meet); nothing recurses. Does not throw.
 */
export function resolveState(input: ResolutionInput): Resolution {
  const { roomId, rules, states, eventById, ranks, env = verifiedOnReceipt } = input
  const { base, deltas } = onOneBase(states)
  if (deltas.length === 0) return { state: { delta: new Map() }, missing: [] }
  const conflict = findConflict(base, deltas, rules.stateResolution === 'v1' ? 'agrees' : 'disagrees')
  if (conflict.disputed.size === 0) return { state: settle(conflict, deltas, new Map()), missing: [] }
  const events = knownEvents(roomId, eventById, rules.roomIdIsCreateHash)
  const dispute = { conflict, events, rules, ranks, env }
  const outcome = rules.stateResolution === 'v1' ? resolveV1(dispute) : resolveV2(dispute)
  return { state: settle(conflict, deltas, outcome), missing: [...events.missing] }
}
