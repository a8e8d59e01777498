import { createEventIdOf } from '../../protocol/event-id.ts'
import { type IdentifiedPdu, type Pdu, referencedIds } from '../../protocol/pdu.ts'
import type { OpenRoom } from '../open-room.ts'

/** What an event builds on and this server does not have. */
export interface MissingReferences {
  /** Of `prev_events`: unknown, or known without the state after them. */
  readonly previous: readonly string[]
  /** Of the events that authorize it: unknown in any form. */
  readonly auth: readonly string[]
}

export async function missingOf(room: OpenRoom, pdu: Pdu): Promise<MissingReferences> {
  const previous: string[] = []
  for (const eventId of new Set(referencedIds(pdu.prev_events))) {
    if ((await room.find(eventId))?.order == null) previous.push(eventId)
  }
  return { previous, auth: await missingAuthEvents(room, pdu) }
}

export async function missingAuthEvents(room: OpenRoom, pdu: Pdu): Promise<readonly string[]> {
  const missing: string[] = []
  for (const eventId of authEventIds(room, pdu)) if (!(await room.find(eventId))) missing.push(eventId)
  return missing
}

/** With the create event where the room's ID stands for it. */
function authEventIds(room: OpenRoom, pdu: Pdu): ReadonlySet<string> {
  const ids = new Set(referencedIds(pdu.auth_events))
  if (room.rules.roomIdIsCreateHash && pdu.type !== 'm.room.create') ids.add(createEventIdOf(room.roomId))
  return ids
}

/** Whether an event names itself as one that it builds on, as only an event whose ID is chosen can. */
export const namesItself = ({ eventId, pdu }: IdentifiedPdu): boolean =>
  referencedIds(pdu.prev_events).includes(eventId) || referencedIds(pdu.auth_events).includes(eventId)

/**
 * Events in an order in which each comes after those of them that it builds on. Those that lead to themselves are left out.
 * @param referencesOf what counts as building on
 */
export function inOrder<E extends IdentifiedPdu>(
  events: ReadonlyMap<string, E>,
  referencesOf: (pdu: Pdu) => readonly string[],
): readonly E[] {
  const waitsFor = new Map<string, number>()
  const citedBy = new Map<string, E[]>()
  const ready: E[] = []
  for (const event of events.values()) {
    const among = new Set(referencesOf(event.pdu).filter((eventId) => events.has(eventId)))
    waitsFor.set(event.eventId, among.size)
    if (among.size === 0) ready.push(event)
    for (const eventId of among) {
      const citing = citedBy.get(eventId)
      if (citing) citing.push(event)
      else citedBy.set(eventId, [event])
    }
  }
  // It grows while it is walked.
  for (const { eventId } of ready) {
    for (const citing of citedBy.get(eventId) ?? []) {
      const left = (waitsFor.get(citing.eventId) ?? 0) - 1
      waitsFor.set(citing.eventId, left)
      if (left === 0) ready.push(citing)
    }
  }
  return ready
}

export const byAuthEvents = (pdu: Pdu): readonly string[] => referencedIds(pdu.auth_events)
export const byPreviousEvents = (pdu: Pdu): readonly string[] => referencedIds(pdu.prev_events)
