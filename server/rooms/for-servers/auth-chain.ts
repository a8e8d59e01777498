import { createEventIdOf } from '../../protocol/event-id.ts'
import { referencedIds } from '../../protocol/pdu.ts'
import type { KeptEvent } from '../event.ts'
import type { OpenRoom } from '../open-room.ts'
import { turns } from '../receive/outliers.ts'

/** Beyond this many events a chain is cut; what is nearest to its start comes first. */
const MAX_EVENTS = 100_000

/**
 * The events that authorize some others, and those that authorize them in turn: each once, the nearest first, read as they
 * are asked for. A start is only in it where another one cites it.
 */
export async function* authChainOf(room: OpenRoom, starts: Iterable<KeptEvent>): AsyncGenerator<KeptEvent> {
  const current = room.currentById()
  // A set goes on to give what is added to it meanwhile: it is the walk's queue, and remembers what was come to.
  const cited = new Set<string>()
  const waitTurn = turns()
  let count = 0
  // In the order of the timeline, in which what they cite lies on the disk: a state is in no order.
  const sorted = [...starts].sort((a, b) => (a.order ?? 0) - (b.order ?? 0))
  for (const { pdu } of sorted) for (const eventId of referencedIds(pdu.auth_events)) cited.add(eventId)
  for (const eventId of cited) {
    count += 1
    if (count > MAX_EVENTS) return
    await waitTurn()
    const event = current.get(eventId) ?? (await room.find(eventId))
    if (!event) continue
    yield event
    for (const behind of referencedIds(event.pdu.auth_events)) cited.add(behind)
  }
}

/** The create event where its ID is the room's, so that no event cites it; otherwise it is in every auth chain. */
export async function findImpliedCreate(room: OpenRoom): Promise<KeptEvent | undefined> {
  return room.rules.roomIdIsCreateHash ? room.find(createEventIdOf(room.roomId)) : undefined
}
