/**
 * Events of other servers on their way into a room. Ours, once built, take steps 4 to 8 of the same way (`propose.ts`).
 * Spec: server-server-api §Checks performed on receipt of a PDU. Step 0, the room's ACL, is for whoever takes them in.
 */
import { type IdentifiedPdu, type Json, referencedIds } from '../../protocol/pdu.ts'
import type { RoomsCore } from '../core.ts'
import type { OpenRoom } from '../open-room.ts'
import { withPolicySignature } from '../policy-signature.ts'
import type { StateMap } from '../state-map.ts'
import { type AcceptOptions, acceptWithState } from './accept.ts'
import { loadAuthEvents, stateBefore, stateBeforeGap } from './authorize.ts'
import { fetchAuthEvents, fetchPrevious, fetchStateBefore } from './fetch-missing.ts'
import { groupOfState } from './imported-state.ts'
import type { Inquiry } from './inquiry.ts'
import { parseReceived } from './parse.ts'
import { stateToJudgeBy } from './partial-members.ts'
import { missingOf, namesItself } from './references.ts'
import { keysOf, verify } from './verify.ts'

/** What became of an event that is kept. */
export interface Kept {
  readonly outcome: 'accepted' | 'softFailed' | 'rejected' | 'known'
  readonly eventId: string
  readonly why?: string
}

/** What became of an event. Everything but `dropped` is durable. */
export type Reception =
  | Kept
  /** Nothing of it is kept. */
  | { readonly outcome: 'dropped'; readonly eventId?: string; readonly why: string }
  /** It is kept aside until what it builds on is known. */
  | { readonly outcome: 'waiting'; readonly eventId: string; readonly missing: readonly string[] }

/** An event whose signatures are good, and what it lacks to be judged. */
export interface Incomplete {
  readonly outcome: 'incomplete'
  readonly event: IdentifiedPdu
  readonly missing: readonly string[]
}

/** Of an event, and those before it that were fetched for its sake. */
const MAX_STATES_FETCHED = 3

/**
 * Takes an event in, if all that it builds on is known.
 * @param json read by `parseJson`
 */
export async function receive(
  core: RoomsCore,
  room: OpenRoom,
  json: Json,
): Promise<Exclude<Reception, { outcome: 'waiting' }> | Incomplete> {
  const parsed = parseReceived(json, room.roomId, room.rules)
  if (!parsed.ok) return { outcome: 'dropped', why: parsed.why }
  const { eventId, pdu } = parsed.event
  if ((await room.find(eventId))?.order != null) return { outcome: 'known', eventId }
  if (namesItself(parsed.event)) return { outcome: 'dropped', eventId, why: 'it builds on itself' }
  const verified = verify(await keysOf(core, [pdu], room.rules), parsed.event, parsed.text, room.rules)
  if (!verified.ok) return { outcome: 'dropped', eventId, why: verified.why }
  const { event } = verified
  return (
    (await acceptIfComplete(core, room, event)) ?? {
      outcome: 'incomplete',
      event,
      missing: await allMissing(room, event),
    }
  )
}

async function allMissing(room: OpenRoom, event: IdentifiedPdu): Promise<readonly string[]> {
  const { previous, auth } = await missingOf(room, event.pdu)
  return [...new Set([...auth, ...previous])]
}

/** Steps 4 to 8 for a verified event. @returns `undefined` where something that it builds on is not known */
export async function acceptIfComplete(
  core: RoomsCore,
  room: OpenRoom,
  event: IdentifiedPdu,
  options?: AcceptOptions,
): Promise<Kept | undefined> {
  const { previous, auth } = await missingOf(room, event.pdu)
  if (previous.length > 0 || auth.length > 0) return undefined
  return accept(core, room, event, undefined, options)
}

/**
 * The same for an event that lacks something: it is fetched, with as many of the events before it as a few requests bring. Where
 * there are more, a gap stays below the oldest of them, behind the state that another server has there.
 *
 * @returns `undefined` where it is still not possible
 */
export async function acceptWithFetching(
  core: RoomsCore,
  room: OpenRoom,
  event: IdentifiedPdu,
  inquiry: Inquiry,
  options?: AcceptOptions,
): Promise<Kept | undefined> {
  let statesLeft = MAX_STATES_FETCHED
  const takeIn = async (one: IdentifiedPdu, its?: AcceptOptions): Promise<Kept | undefined> => {
    if (!(await fetchAuthEvents(core, room, one, inquiry))) return undefined
    const { previous } = await missingOf(room, one.pdu)
    if (previous.length === 0) return accept(core, room, one, undefined, its)
    if (statesLeft === 0) return undefined
    statesLeft -= 1
    const stateIds = await fetchStateBefore(core, room, one.eventId, inquiry)
    return stateIds && (await accept(core, room, one, stateIds, its))
  }
  if ((await missingOf(room, event.pdu)).previous.length > 0) {
    for (const earlier of await fetchPrevious(core, room, event, inquiry)) await takeIn(earlier)
  }
  return takeIn(event, options)
}

/** Whether the members are known that it takes to judge an event. */
async function isDecidable(room: OpenRoom, event: IdentifiedPdu, before: StateMap): Promise<boolean> {
  const eventById = await loadAuthEvents(room, event)
  return [before, room.head.state].every((state) => stateToJudgeBy(event, eventById, state) !== undefined)
}

/**
 * @param stateIds the state before it, where not all of its previous events are known
 * @returns `undefined` where it must wait for the room's members
 */
async function accept(
  core: RoomsCore,
  room: OpenRoom,
  received: IdentifiedPdu,
  stateIds: readonly string[] | undefined,
  options?: AcceptOptions,
): Promise<Kept | undefined> {
  const event = await withPolicySignature(core, room, received)
  const { eventId, pdu } = event
  const previous = referencedIds(pdu.prev_events)
  const entered = await room.enter(async () => {
    const known = await room.find(eventId)
    if (known?.order != null) return { outcome: 'known' as const, durable: room.durable(known) }
    const before = stateIds
      ? await stateBeforeGap(room, previous, await groupOfState(room, stateIds))
      : await stateBefore(room, previous)
    if (room.partial && !(await isDecidable(room, event, before.state))) {
      for (const { id } of before.newGroups ?? []) room.groups.discard(id)
      return undefined
    }
    const { judgement, durable } = await acceptWithState(core, room, event, before, options)
    return { ...judgement, durable }
  })
  if (!entered) return undefined
  await entered.durable
  if (entered.outcome === 'rejected' || entered.outcome === 'softFailed') {
    return { outcome: entered.outcome, eventId, why: entered.why }
  }
  return { outcome: entered.outcome, eventId }
}
