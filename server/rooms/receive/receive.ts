/**
 * Events of other servers on their way into a room. Ours, once built, take steps 4 to 8 of the same way (`propose.ts`).
 * Spec: server-server-api §Checks performed on receipt of a PDU. Step 0, the room's ACL, is for whoever takes them in.
 */
import { RemoteRefusal } from '../../federation/index.ts'
import { RemoteError } from '../../net/index.ts'
import { parseJson } from '../../protocol/json.ts'
import { type IdentifiedPdu, type Json, type Pdu, referencedIds } from '../../protocol/pdu.ts'
import { put, remove } from '../../store/index.ts'
import type { RoomsCore } from '../core.ts'
import type { OpenRoom } from '../open-room.ts'
import { isRecommended, withPolicySignature } from '../policy-signature.ts'
import { waitingEvents } from '../store.ts'
import { type Judgement, judge, judgeByAuthEvents, loadAuthEvents, stateBefore } from './authorize.ts'
import { stageEvent, stageOutlier } from './commit.ts'
import { parseReceived } from './parse.ts'
import { verify } from './verify.ts'

/** What became of an event. Everything but `dropped` is durable. */
export type Reception =
  | {
      readonly outcome: 'accepted' | 'softFailed' | 'rejected' | 'known'
      readonly eventId: string
      readonly why?: string
    }
  /** Nothing of it is kept. */
  | { readonly outcome: 'dropped'; readonly why: string }
  /** It is kept aside until an event that it builds on is known. */
  | { readonly outcome: 'waiting'; readonly eventId: string; readonly missing: readonly string[] }

/** How far back missing events are fetched for the sake of one that came in. */
const MAX_FETCH_DEPTH = 10
const MAX_FETCHED_AT_ONCE = 100
/** So many events of one room may wait for others; older ones give way. */
const MAX_WAITING = 1_000

/**
 * Takes an event of another server in.
 * @param received.from the server that sent it, which is asked for what is missing
 * @param received.json read by `parseJson`
 */
export async function receive(
  core: RoomsCore,
  room: OpenRoom,
  received: { readonly json: Json; readonly from: string },
  depth = 0,
): Promise<Reception> {
  const parsed = parseReceived(received.json, room.roomId, room.rules)
  if (!parsed.ok) return { outcome: 'dropped', why: parsed.why }
  const { eventId } = parsed.event
  if ((await room.find(eventId))?.order != null) return { outcome: 'known', eventId }
  const verified = await verify(core, parsed.event, parsed.text, room.rules)
  if (!verified.ok) return { outcome: 'dropped', why: verified.why }
  const { event } = verified
  const missing = await gather(core, room, event.pdu, received.from, depth)
  if (missing.length > 0) return keepWaiting(core, room, event, received.from, missing)
  const reception = await accept(core, room, event)
  if (reception.outcome !== 'known') await retryWaiting(core, room, eventId)
  return reception
}

/** Steps 4 to 8. */
async function accept(core: RoomsCore, room: OpenRoom, received: IdentifiedPdu): Promise<Reception> {
  const event = await withPolicySignature(core, room, received)
  const { eventId, pdu } = event
  const entered = await room.enter(async () => {
    const known = await room.find(eventId)
    if (known?.order != null) return { outcome: 'known' as const, durable: room.durable(known) }
    const before = await stateBefore(room, referencedIds(pdu.prev_events))
    const eventById = await loadAuthEvents(room, event)
    const byRules = judge({ event, rules: room.rules, eventById, before: before.state, current: room.head.state })
    const judgement: Judgement =
      byRules.outcome !== 'accepted' || isRecommended(core, room, pdu)
        ? byRules
        : { outcome: 'softFailed', why: "the room's policy server has not signed it" }
    const { unsigned: _, ...kept } = pdu
    const wasOutlier = known !== undefined
    const { durable } = await stageEvent(core, room, {
      event,
      json: JSON.stringify(kept),
      before,
      judgement,
      wasOutlier,
    })
    return { ...judgement, durable }
  })
  await entered.durable
  if (entered.outcome === 'rejected' || entered.outcome === 'softFailed') {
    const { outcome, why } = entered
    core.environment.logger.info({ event: `pdu.${outcome}`, roomId: room.roomId, eventId, why })
    return { outcome, eventId, why }
  }
  return { outcome: entered.outcome, eventId }
}

/**
 * Step 3: sees to it that the events which this one builds on are known, asking the sender for those that are not.
 * @returns those that are missing still: auth events of any kind, previous events whose state is not known
 */
async function gather(
  core: RoomsCore,
  room: OpenRoom,
  pdu: Pdu,
  from: string,
  depth: number,
): Promise<readonly string[]> {
  const missing = await listMissing(room, pdu)
  if (missing.length === 0 || !core.peers || depth >= MAX_FETCH_DEPTH) return missing
  const previous = new Set(referencedIds(pdu.prev_events))
  for (const eventId of missing.slice(0, MAX_FETCHED_AT_ONCE)) {
    const json = await findAt(core, from, eventId)
    if (json === undefined) continue
    const parsed = parseReceived(json, room.roomId, room.rules)
    if (!parsed.ok || !missing.includes(parsed.event.eventId)) continue
    if (previous.has(parsed.event.eventId)) await receive(core, room, { json, from }, depth + 1)
    else await receiveOutlier(core, room, { json, from }, depth + 1)
  }
  return listMissing(room, pdu)
}

/** What another server gives of one of its events; nothing, where it does not answer or has none. */
async function findAt(core: RoomsCore, server: string, eventId: string): Promise<Json | undefined> {
  try {
    return await core.peers?.event(server, eventId)
  } catch (error) {
    if (error instanceof RemoteError || error instanceof RemoteRefusal) return undefined
    throw error
  }
}

async function listMissing(room: OpenRoom, pdu: Pdu): Promise<readonly string[]> {
  const missing = new Set<string>()
  for (const eventId of referencedIds(pdu.auth_events)) if (!(await room.find(eventId))) missing.add(eventId)
  for (const eventId of referencedIds(pdu.prev_events)) {
    if ((await room.find(eventId))?.order == null) missing.add(eventId)
  }
  return [...missing]
}

/** An event that is wanted for others' sake: judged by its auth events alone, and given no place in the timeline. */
async function receiveOutlier(
  core: RoomsCore,
  room: OpenRoom,
  received: { readonly json: Json; readonly from: string },
  depth: number,
): Promise<void> {
  const parsed = parseReceived(received.json, room.roomId, room.rules)
  if (!parsed.ok || (await room.find(parsed.event.eventId))) return
  const verified = await verify(core, parsed.event, parsed.text, room.rules)
  if (!verified.ok) return
  const { event } = verified
  const wanted = referencedIds(event.pdu.auth_events)
  await gather(core, room, { ...event.pdu, prev_events: [] }, received.from, depth)
  const isComplete = await Promise.all(wanted.map((eventId) => room.find(eventId)))
  // Judged without one of its auth events it would be rejected for good.
  if (isComplete.some((found) => found === undefined)) return
  const staged = await room.enter(async () => {
    if (await room.find(event.eventId)) return undefined
    const judgement = judgeByAuthEvents(event, await loadAuthEvents(room, event), room.rules)
    const { unsigned: _, ...kept } = event.pdu
    return stageOutlier(room, event, JSON.stringify(kept), judgement)
  })
  await staged?.durable
}

async function keepWaiting(
  core: RoomsCore,
  room: OpenRoom,
  { eventId, pdu }: IdentifiedPdu,
  from: string,
  missing: readonly string[],
): Promise<Reception> {
  const { lease, roomId } = room
  const surplus = (await lease.count(waitingEvents)) - MAX_WAITING + 1
  const oldest = surplus > 0 ? await lease.range(waitingEvents, { index: 'receivedTs', limit: surplus }) : []
  const receivedTs = core.environment.clock.now()
  const row = { eventId, missing: missing[0] ?? '', receivedTs, from, json: JSON.stringify(pdu) }
  await core.store.commit(() => [
    put(waitingEvents, row, roomId),
    ...oldest.map((old) => remove(waitingEvents, old.eventId, roomId)),
  ])
  core.environment.logger.info({ event: 'pdu.waiting', roomId, eventId, missing: missing.length })
  return { outcome: 'waiting', eventId, missing }
}

/** Takes up again what waited for this event. */
async function retryWaiting(core: RoomsCore, room: OpenRoom, eventId: string): Promise<void> {
  const known = [eventId]
  for (let next = known.pop(); next !== undefined; next = known.pop()) {
    const rows = await room.lease.range(waitingEvents, { index: 'missing', from: next, to: `${next}\u0000` })
    for (const row of rows) {
      // It was verified before it was put aside.
      const event = { eventId: row.eventId, pdu: parseJson(row.json) as unknown as Pdu }
      const missing = await listMissing(room, event.pdu)
      if (missing.length > 0) {
        await keepWaiting(core, room, event, row.from, missing)
        continue
      }
      await accept(core, room, event)
      known.push(row.eventId)
      await core.store.commit(() => [remove(waitingEvents, row.eventId, room.roomId)])
    }
  }
}
