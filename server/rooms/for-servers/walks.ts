/**
 * Walks back through a room's DAG for a server that is in the room.
 * Spec: server-server-api §Backfilling and retrieving missing events.
 *
 * Soft-failed events are given: what others accepted may build on them, and would leave a gap without them. Rejected ones
 * are not, but the walk goes on behind them; who wants one asks for it by its ID.
 */
import { depthOf } from '../../protocol/event-format.ts'
import { referencedIds } from '../../protocol/pdu.ts'
import type { RoomsCore } from '../core.ts'
import type { KeptEvent } from '../event.ts'
import type { OpenRoom } from '../open-room.ts'
import type { OpenRooms } from '../open-rooms.ts'
import { type Asking, findDurable, withRoomOf } from './admission.ts'
import { ServerSight } from './server-sight.ts'

const MAX_BACKFILLED = 100
const DEFAULT_MISSING = 10
const MAX_MISSING = 20
/** Of the events that a request begins with. */
const MAX_STARTS = 100
/** So many events are looked at for one answer, rejected ones among them. */
const MAX_LOOKED_AT = 400

export interface BackfillWish extends Asking {
  readonly from: readonly string[]
  /** 100 at most. */
  readonly limit: number
}

/**
 * The given events and those before them, the deepest first, as JSON texts; what is not in the room is passed over.
 * @throws MatrixError 403 M_FORBIDDEN
 */
export function backfill(core: RoomsCore, rooms: OpenRooms, wish: BackfillWish): Promise<readonly string[]> {
  return withRoomOf(core, rooms, wish, async (room) => {
    const limit = Math.min(wish.limit, MAX_BACKFILLED)
    const reached = new Set<string>()
    /** Sorted, the deepest last. */
    const ahead: KeptEvent[] = []
    const reach = async (eventIds: readonly string[]): Promise<void> => {
      for (const eventId of eventIds) {
        if (reached.has(eventId)) continue
        reached.add(eventId)
        const event = await findDurable(room, eventId)
        if (event?.order != null) insert(ahead, event)
      }
    }
    await reach(wish.from.slice(0, MAX_STARTS))
    const found: KeptEvent[] = []
    for (let lookedAt = 0; found.length < limit && lookedAt < MAX_LOOKED_AT; lookedAt += 1) {
      const event = ahead.pop()
      if (!event) break
      if (!event.isRejected) found.push(event)
      await reach(referencedIds(event.pdu.prev_events))
    }
    return textsFor(core, room, wish.server, found)
  })
}

function insert(sorted: KeptEvent[], event: KeptEvent): void {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (isDeeper(sorted[middle] as KeptEvent, event)) high = middle
    else low = middle + 1
  }
  sorted.splice(low, 0, event)
}

function isDeeper(a: KeptEvent, b: KeptEvent): boolean {
  const [first, second] = [depthOf(a.pdu), depthOf(b.pdu)]
  return first === second ? (a.order ?? 0) > (b.order ?? 0) : first > second
}

export interface MissingWish extends Asking {
  readonly earliest: readonly string[]
  readonly latest: readonly string[]
  /** 20 at most, 10 without it. */
  readonly limit: number | undefined
  readonly minDepth: number | undefined
}

/**
 * The events that lie between some that a server has and some that it was sent, without either, as JSON texts: breadth
 * first from the latest, given the oldest first, as they are to be taken in.
 * @throws MatrixError 403 M_FORBIDDEN
 */
export function listMissingEvents(core: RoomsCore, rooms: OpenRooms, wish: MissingWish): Promise<readonly string[]> {
  return withRoomOf(core, rooms, wish, async (room) => {
    const limit = Math.min(wish.limit ?? DEFAULT_MISSING, MAX_MISSING)
    const minDepth = wish.minDepth ?? 0
    const isKnownThere = new Set(wish.earliest)
    const latest = new Set(wish.latest.slice(0, MAX_STARTS))
    /** It grows while it is walked. */
    const reached = new Set<string>()
    const reachBehind = (event: KeptEvent | undefined): void => {
      for (const eventId of event ? referencedIds(event.pdu.prev_events) : []) {
        if (!isKnownThere.has(eventId) && !latest.has(eventId)) reached.add(eventId)
      }
    }
    for (const eventId of latest) {
      const event = isKnownThere.has(eventId) ? undefined : await findDurable(room, eventId)
      if (event?.order != null) reachBehind(event)
    }
    const found: KeptEvent[] = []
    let lookedAt = 0
    for (const eventId of reached) {
      lookedAt += 1
      if (found.length >= limit || lookedAt > MAX_LOOKED_AT) break
      const event = await findDurable(room, eventId)
      if (event?.order == null || depthOf(event.pdu) < minDepth) continue
      if (!event.isRejected) found.push(event)
      reachBehind(event)
    }
    return textsFor(core, room, wish.server, oldestFirst(found))
  })
}

/** As far as their senders are honest about depths, each comes after those that it builds on. */
function oldestFirst(events: readonly KeptEvent[]): readonly KeptEvent[] {
  return [...events].sort((a, b) => (isDeeper(a, b) ? 1 : -1))
}

async function textsFor(
  core: RoomsCore,
  room: OpenRoom,
  server: string,
  events: readonly KeptEvent[],
): Promise<readonly string[]> {
  const sight = new ServerSight(core, room, server)
  const texts: string[] = []
  for (const event of events) texts.push(await sight.textOf(event))
  return texts
}
