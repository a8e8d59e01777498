/** Fetches what events build on. Nothing here is trusted: all of it goes the way of events that came by themselves. */
import { depthOf } from '../../protocol/event-format.ts'
import type { IdentifiedPdu, Json } from '../../protocol/pdu.ts'
import type { RoomsCore } from '../core.ts'
import type { KeptEvent } from '../event.ts'
import { depthOfNewestStretch } from '../history/gap-at-depth.ts'
import type { OpenRoom } from '../open-room.ts'
import type { Inquiry } from './inquiry.ts'
import { receiveOutliers, verifyAll } from './outliers.ts'
import { byPreviousEvents, inOrder, missingAuthEvents } from './references.ts'

/** As many as servers give at once. */
const PER_ROUND = 20
const MAX_ROUNDS = 10
/** Rounds of fetching single auth events, and those that these need in turn, before whole chains are asked for. */
const AUTH_ROUNDS = 3
const MAX_AUTH_PER_ROUND = 30
/** An auth chain, or a room's state, has no more events. */
const MAX_CHAIN = 100_000
/** Where so much of a state is not known, all of it is asked for at once. */
const MAX_SINGLE_STATE_EVENTS = 100

/**
 * The events between those that this server has and one that it was sent: as far as a few rounds bring them. Previous ones
 * first, verified, and only such as the event builds on. Spec: server-server-api §POST /get_missing_events.
 */
export async function fetchPrevious(
  core: RoomsCore,
  room: OpenRoom,
  event: IdentifiedPdu,
  inquiry: Inquiry,
): Promise<readonly IdentifiedPdu[]> {
  const found = new Map<string, IdentifiedPdu>()
  const earliest = room.head.extremities.map(({ eventId }) => eventId).slice(0, PER_ROUND)
  let latest: readonly string[] = [event.eventId]
  const open = new Set(byPreviousEvents(event.pdu))
  // What is less deep is history: it is no news, and fetched when somebody wants to read it. The room's ends say nothing of that:
  // after a partition, what others have said meanwhile is as deep as what was said here.
  const depths = room.head.extremities.map(({ depth }) => depth)
  const minDepth = Math.min(...depths, depthOf(event.pdu), await depthOfNewestStretch(room))
  for (let round = 0; round < MAX_ROUNDS && latest.length > 0; round += 1) {
    const wish = { roomId: room.roomId, earliest, latest, limit: PER_ROUND, minDepth }
    const got = await inquiry.first(
      (peers, server) => peers.missingEvents(server, wish),
      (answer) => answer.length > 0,
    )
    if (!got) break
    const fresh = await verifiedEvents(core, room, got.answer.slice(0, PER_ROUND), got.server)
    const before = found.size
    takeReachable(fresh, open, minDepth, found)
    if (found.size === before) break
    latest = (await withUnknownPrevious(room, found)).slice(0, PER_ROUND)
  }
  found.delete(event.eventId)
  return inOrder(found, byPreviousEvents)
}

/** @param open events that are built upon and not fetched yet; those behind fetched ones come to it */
function takeReachable(
  fresh: ReadonlyMap<string, IdentifiedPdu>,
  open: Set<string>,
  minDepth: number,
  found: Map<string, IdentifiedPdu>,
): void {
  // What is added while it is walked is walked, too.
  for (const eventId of open) {
    const event = fresh.get(eventId)
    if (!event || depthOf(event.pdu) < minDepth) continue
    open.delete(eventId)
    if (found.has(eventId)) continue
    found.set(eventId, event)
    for (const previous of byPreviousEvents(event.pdu)) if (!found.has(previous)) open.add(previous)
  }
}

/** Verified ones, and outliers that have no place yet. */
async function verifiedEvents(
  core: RoomsCore,
  room: OpenRoom,
  jsons: readonly Json[],
  from: string,
): Promise<ReadonlyMap<string, IdentifiedPdu>> {
  const known = new Map<string, KeptEvent>()
  const events = new Map(await verifyAll(core, room, jsons, { from }, known))
  for (const [eventId, event] of known) if (event.order === null) events.set(eventId, event)
  return events
}

async function withUnknownPrevious(
  room: OpenRoom,
  events: ReadonlyMap<string, IdentifiedPdu>,
): Promise<readonly string[]> {
  const ends: string[] = []
  for (const { eventId, pdu } of events.values()) {
    for (const previous of byPreviousEvents(pdu)) {
      if (events.has(previous) || (await room.find(previous))?.order != null) continue
      ends.push(eventId)
      break
    }
  }
  return ends
}

/**
 * Sees to it that the events are known that authorize one, as outliers.
 * @returns whether all are
 */
export async function fetchAuthEvents(
  core: RoomsCore,
  room: OpenRoom,
  event: IdentifiedPdu,
  inquiry: Inquiry,
): Promise<boolean> {
  const fetched: Json[] = []
  let wanted = await missingAuthEvents(room, event.pdu)
  if (wanted.length === 0) return true
  const asked = new Set<string>()
  for (let round = 0; round < AUTH_ROUNDS && wanted.length > 0; round += 1) {
    for (const eventId of wanted) asked.add(eventId)
    const jsons = await inquiry.events(wanted)
    if (jsons.length === 0) break
    fetched.push(...jsons)
    await receiveOutliers(core, room, fetched, inquiry.servers[0] ?? '')
    if ((await missingAuthEvents(room, event.pdu)).length === 0) return true
    wanted = (await behind(core, room, jsons)).filter((eventId) => !asked.has(eventId)).slice(0, MAX_AUTH_PER_ROUND)
  }
  const chain = await inquiry.first((peers, server) => peers.eventAuth(server, room.roomId, event.eventId))
  if (chain) await receiveOutliers(core, room, chain.answer.slice(0, MAX_CHAIN), chain.server)
  return (await missingAuthEvents(room, event.pdu)).length === 0
}

/** Events that authorize these and are not known. */
async function behind(core: RoomsCore, room: OpenRoom, jsons: readonly Json[]): Promise<readonly string[]> {
  const missing = new Set<string>()
  const verified = await verifyAll(core, room, jsons, { from: '' }, new Map())
  for (const { pdu } of verified.values()) {
    for (const eventId of await missingAuthEvents(room, pdu)) if (!verified.has(eventId)) missing.add(eventId)
  }
  return [...missing]
}

/**
 * The state before an event, as another server has it: its events are known afterwards.
 * @returns their IDs; `undefined` where no server gave a state that can be the room's
 */
export async function fetchStateBefore(
  core: RoomsCore,
  room: OpenRoom,
  eventId: string,
  inquiry: Inquiry,
): Promise<readonly string[] | undefined> {
  const { roomId } = room
  const got = await inquiry.first((peers, server) => peers.stateIds(server, roomId, eventId))
  if (!got) return undefined
  const stateIds = got.answer.state.slice(0, MAX_CHAIN)
  const missing = await unknownOf(room, [...stateIds, ...got.answer.authChain.slice(0, MAX_CHAIN)])
  if (missing.length > MAX_SINGLE_STATE_EVENTS) {
    const whole = await inquiry.first((peers, server) => peers.state(server, roomId, eventId))
    if (whole) {
      await receiveOutliers(
        core,
        room,
        [...whole.answer.authChain, ...whole.answer.state].slice(0, MAX_CHAIN),
        whole.server,
      )
    }
  } else if (missing.length > 0) {
    await receiveOutliers(core, room, await inquiry.events(missing), got.server)
  }
  const left = new Set(await unknownOf(room, stateIds))
  const known = stateIds.filter((id) => !left.has(id))
  // Single events may be lost with their servers' keys; a state that lacks more is not the room's.
  if (left.size * 10 > stateIds.length || !(await hasCreate(room, known))) {
    const { logger } = core.environment
    logger.info({ event: 'rooms.state.incomplete', roomId, eventId, from: got.server, missing: left.size })
    return undefined
  }
  return known
}

async function unknownOf(room: OpenRoom, eventIds: readonly string[]): Promise<readonly string[]> {
  const current = room.currentById()
  const unknown = new Set<string>()
  for (const eventId of eventIds) {
    if (!current.has(eventId) && !(await room.find(eventId))) unknown.add(eventId)
  }
  return [...unknown]
}

async function hasCreate(room: OpenRoom, eventIds: readonly string[]): Promise<boolean> {
  const create = room.head.state.get('m.room.create')
  return create !== undefined && eventIds.includes(create.eventId)
}
