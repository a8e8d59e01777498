/**
 * Events that are wanted for others' sake: the state that a room had, and the auth chains behind it. They are judged by their
 * auth events alone and get no place in the timeline. Spec: server-server-api §PDUs, §Rejection.
 */
import { setImmediate } from 'node:timers/promises'
import { createEventIdOf } from '../../protocol/event-id.ts'
import { type IdentifiedPdu, type Json, referencedIds } from '../../protocol/pdu.ts'
import type { RoomsCore } from '../core.ts'
import type { KeptEvent } from '../event.ts'
import type { OpenRoom } from '../open-room.ts'
import { judgeByAuthEvents } from './authorize.ts'
import { stageOutlier } from './commit.ts'
import { parseReceived } from './parse.ts'
import { byAuthEvents, inOrder, namesItself } from './references.ts'
import { keptJson, keysOf, verify } from './verify.ts'
import { vouchersFor } from './vouchers.ts'

/** No room's state and its auth chain are larger; what comes after is left out. */
const MAX_EVENTS = 200_000
/** Senders of the room wait for one such commit. */
const PER_COMMIT = 500
/** After so long other requests get their turn. */
const SLICE_MS = 8

/** Where events come from. */
export interface Source {
  readonly from: string
  readonly vouchers?: readonly string[]
}

/** Gives other requests their turn where this one has had the processor for a while. */
export function turns(): () => Promise<void> {
  let since = performance.now()
  return async () => {
    if (performance.now() - since < SLICE_MS) return
    await setImmediate()
    since = performance.now()
  }
}

/**
 * Keeps events that another server gave as the state of a room or as auth chains, each with all that it needs to be judged:
 * in any order, since they are sorted here. An event without one of its auth events is left out, for it would be rejected for
 * good; so is what is malformed, of another room, or not signed. Not within `room.enter`.
 *
 * @param from the server that gave them
 * @param vouchers servers to ask for keys of servers that are gone: see `ServerKeys.keysFor`; without them as `vouchersFor`
 * @returns by event ID, those of them that are known now and durable: new ones, rejected ones, and ones that were known before
 */
export async function receiveOutliers(
  core: RoomsCore,
  room: OpenRoom,
  jsons: readonly Json[],
  from: string,
  vouchers?: readonly string[],
): Promise<ReadonlyMap<string, KeptEvent>> {
  const known = new Map<string, KeptEvent>()
  const verified = await verifyAll(core, room, jsons, { from, ...(vouchers && { vouchers }) }, known)
  const sorted = inOrder(verified, byAuthEvents)
  const waitTurn = turns()
  for (let start = 0; start < sorted.length; start += PER_COMMIT) {
    await keep(room, sorted.slice(start, start + PER_COMMIT), known, waitTurn)
  }
  const leftOut = jsons.length - known.size
  if (leftOut > 0) core.environment.logger.info({ event: 'pdu.outliers.left_out', roomId: room.roomId, from, leftOut })
  return known
}

/**
 * Steps 1 to 3 for many events; what does not pass is left out.
 *
 * @param source.vouchers see `ServerKeys.keysFor`; without them as `vouchersFor`
 * @param known gets those that the room has already, outliers among them
 * @param unsigned gets those whose signatures are not good, or cannot be checked
 */
export async function verifyAll(
  core: RoomsCore,
  room: OpenRoom,
  jsons: readonly Json[],
  source: Source,
  known: Map<string, KeptEvent>,
  unsigned?: Map<string, IdentifiedPdu>,
): Promise<ReadonlyMap<string, IdentifiedPdu>> {
  const { rules, roomId } = room
  const { from, vouchers = vouchersFor(room, from) } = source
  const waitTurn = turns()
  const parsed = new Map<string, { readonly event: IdentifiedPdu; readonly text: string }>()
  const faults: string[] = []
  for (const json of jsons.slice(0, MAX_EVENTS)) {
    await waitTurn()
    const one = parseReceived(json, roomId, rules)
    if (!one.ok) {
      faults.push(one.why)
      continue
    }
    const { eventId } = one.event
    if (namesItself(one.event)) continue
    const before = await room.find(eventId)
    if (before) known.set(eventId, before)
    else parsed.set(eventId, one)
  }
  const pdus = [...parsed.values()].map(({ event }) => event.pdu)
  const keyOf = await keysOf(core, pdus, rules, vouchers)
  const verified = new Map<string, IdentifiedPdu>()
  for (const { event, text } of parsed.values()) {
    await waitTurn()
    const result = verify(keyOf, event, text, rules)
    if (result.ok) verified.set(event.eventId, result.event)
    else {
      unsigned?.set(event.eventId, event)
      faults.push(`${event.eventId}: ${result.why}`)
    }
  }
  // One line for all: their number is another server's choice.
  const [why] = faults
  if (why !== undefined) {
    core.environment.logger.info({ event: 'pdu.dropped', roomId, from, count: faults.length, why })
  }
  return verified
}

/** Step 4, and one commit for all that could be judged. */
async function keep(
  room: OpenRoom,
  events: readonly IdentifiedPdu[],
  known: Map<string, KeptEvent>,
  waitTurn: () => Promise<void>,
): Promise<void> {
  const { rules, roomId } = room
  const createId = rules.roomIdIsCreateHash ? createEventIdOf(roomId) : undefined
  const durable = await room.enter(async () => {
    const staged: Promise<KeptEvent>[] = []
    for (const event of events) {
      await waitTurn()
      const { eventId, pdu } = event
      const before = await room.find(eventId)
      if (before) {
        known.set(eventId, before)
        continue
      }
      const wanted = [...referencedIds(pdu.auth_events)]
      if (createId !== undefined && eventId !== createId) wanted.push(createId)
      const authEvents = new Map<string, KeptEvent>()
      for (const wantedId of wanted) {
        const found = known.get(wantedId) ?? (await room.find(wantedId))
        if (found) authEvents.set(wantedId, found)
      }
      if (wanted.some((wantedId) => !authEvents.has(wantedId))) continue
      const judgement = judgeByAuthEvents(event, (wantedId) => authEvents.get(wantedId), rules)
      const outlier = stageOutlier(room, event, keptJson(event), judgement)
      known.set(eventId, outlier.event)
      staged.push(outlier.durable)
    }
    return staged
  })
  await Promise.all(durable)
}
