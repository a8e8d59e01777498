import { verifiedOnReceipt } from '../protocol/auth-rules/index.ts'
import { referencedIds } from '../protocol/pdu.ts'
import { resolveState, toMap } from '../protocol/state-resolution/index.ts'
import type { Op } from '../store/index.ts'
import type { KeptEvent } from './event.ts'
import type { OpenRoom } from './open-room.ts'
import type { SlotIds } from './state-groups.ts'
import { StateMap } from './state-map.ts'

export interface NewGroup {
  readonly id: number
  readonly op: Op
}

/** A state together with the group that it is stored as. */
export interface GroupedState {
  readonly group: number
  readonly state: StateMap
  /** Where the group is new: it, and new ones that it builds on. They must be written in the commit of the event that needs it. */
  readonly newGroups?: readonly NewGroup[] | undefined
}

/** The state of a group, with its events. */
export async function stateOfGroup(room: OpenRoom, group: number): Promise<StateMap> {
  const known = room.stateNow(group)
  if (known) return known
  const state = await stateOfSlots(room, await room.groups.entriesOf(group))
  room.keepState(group, state)
  return state
}

/** @param known events that need not be looked up */
async function stateOfSlots(
  room: OpenRoom,
  slots: SlotIds,
  known: ReadonlyMap<string, KeptEvent> = room.currentById(),
): Promise<StateMap> {
  const events: KeptEvent[] = []
  for (const eventId of slots.values()) {
    const event = known.get(eventId) ?? (await room.find(eventId))
    if (!event) throw new Error(`${eventId} is in the state of ${room.roomId}, but missing`)
    events.push(event)
  }
  return StateMap.of(events)
}

/**
 * The state that several groups resolve to. Only within `room.enter`, since it may make a group.
 * Spec: server-server-api §Room State Resolution.
 *
 * @param groups one or more, in any order
 * @param newcomer an event that is in their states, but not staged yet
 */
export async function resolveGroups(
  room: OpenRoom,
  groups: readonly number[],
  newcomer?: KeptEvent,
): Promise<GroupedState> {
  const [first, ...others] = [...new Set(groups)].sort((a, b) => b - a)
  if (first === undefined) return { group: 0, state: StateMap.empty }
  if (others.length === 0) return { group: first, state: await stateOfGroup(room, first) }
  const states = await Promise.all([first, ...others].map((group) => room.groups.entriesOf(group)))
  const known = new Map(room.currentById())
  if (newcomer) known.set(newcomer.eventId, newcomer)
  const unknown = new Set<string>()
  for (;;) {
    const resolution = resolveState({
      roomId: room.roomId,
      rules: room.rules,
      states,
      eventById: (eventId) => known.get(eventId) ?? room.findNow(eventId),
      ranks: (eventId) => (known.get(eventId) ?? room.findNow(eventId))?.rank,
      env: verifiedOnReceipt,
    })
    const missing = resolution.missing.filter((eventId) => !unknown.has(eventId))
    if (missing.length > 0) {
      await loadAuthChains(room, missing, known, unknown)
      continue
    }
    const { delta } = resolution.state
    if (delta.size === 0) return { group: first, state: await stateOfGroup(room, first) }
    const slots = toMap(resolution.state)
    const newGroup = room.groups.add(first, delta, slots.size, () => slots)
    return { group: newGroup.id, state: await stateOfSlots(room, slots, known), newGroups: [newGroup] }
  }
}

/** Loads events and all that lies behind them in their auth chains. */
async function loadAuthChains(
  room: OpenRoom,
  eventIds: readonly string[],
  known: Map<string, KeptEvent>,
  unknown: Set<string>,
): Promise<void> {
  const wanted = [...eventIds]
  for (let eventId = wanted.pop(); eventId !== undefined; eventId = wanted.pop()) {
    if (known.has(eventId) || unknown.has(eventId)) continue
    const event = await room.find(eventId)
    if (!event) {
      unknown.add(eventId)
      continue
    }
    known.set(eventId, event)
    wanted.push(...referencedIds(event.pdu.auth_events))
  }
}
