import type { KeptEvent } from '../event.ts'
import type { OpenRoom } from '../open-room.ts'
import { type GroupedState, stateOfGroup } from '../resolve.ts'
import { EMPTY_GROUP } from '../state-groups.ts'
import { StateMap, stateSlot } from '../state-map.ts'

/**
 * A state that consists of these events, as another server named it. Only within `room.enter`.
 *
 * @param eventIds of events that the room has, outliers among them; what is not known, rejected or no state event is left out,
 *   as is what names a piece of state for the second time
 * @param near a group that the state is likely to be close to, so that only the difference is stored; without it the current one
 */
export async function groupOfState(
  room: OpenRoom,
  eventIds: readonly string[],
  near: number = room.head.group,
): Promise<GroupedState> {
  const current = room.currentById()
  const slots = new Map<string, string>()
  const events: KeptEvent[] = []
  for (const eventId of eventIds) {
    const event = current.get(eventId) ?? (await room.find(eventId))
    if (event?.pdu.state_key === undefined || event.isRejected) continue
    const slot = stateSlot(event.pdu.type, event.pdu.state_key)
    if (slots.has(slot)) continue
    slots.set(slot, eventId)
    events.push(event)
  }
  const base = await room.groups.entriesOf(near)
  const delta = new Map<string, string | null>()
  for (const [slot, eventId] of slots) if (base.get(slot) !== eventId) delta.set(slot, eventId)
  for (const slot of base.keys()) if (!slots.has(slot)) delta.set(slot, null)
  if (delta.size === 0) return { group: near, state: await stateOfGroup(room, near) }
  const isFar = delta.size * 2 > slots.size
  const newGroup = room.groups.add(isFar ? EMPTY_GROUP : near, delta, slots.size, () => slots)
  return { group: newGroup.id, state: StateMap.of(events), newGroups: [newGroup] }
}
