import { depthOf } from '../../protocol/event-format.ts'
import { type IdentifiedPdu, type Pdu, referencedIds } from '../../protocol/pdu.ts'
import type { RoomsCore } from '../core.ts'
import type { KeptEvent } from '../event.ts'
import { gapAtDepth } from '../history/gap-at-depth.ts'
import type { OpenRoom } from '../open-room.ts'
import { isRecommended } from '../policy-signature.ts'
import type { GroupedState } from '../resolve.ts'
import type { StateMap } from '../state-map.ts'
import { type Judgement, judge, loadAuthEvents } from './authorize.ts'
import { type Accompanying, stageEvent } from './commit.ts'
import { stateToJudgeBy } from './partial-members.ts'
import { keptJson } from './verify.ts'

export interface AcceptOptions extends Accompanying {
  /** Of another server's user who acts through us: see `KeptEvent`. */
  readonly isRelayed?: boolean
  /** Of our user who acts through another server, which passes it on: see `EventFacts`. */
  readonly isHandedOver?: boolean
  /**
   * What the room was here before counts no more, as where the last of our users had left and one comes back: the state before
   * the event is all there is.
   */
  readonly startsAnew?: boolean
}

/**
 * Steps 4 to 8 for an event of another server that is well-formed, signed and not known yet, but maybe as an outlier. Only
 * within `room.enter`. Its auth events must be known; of its previous events those that are not become a gap of the timeline
 * right below it. Spec: server-server-api §Checks performed on receipt of a PDU.
 *
 * @param before the state before it: resolved from its previous events, or as another server gave it (`groupOfState`)
 * @returns what was made of it, and when that is durable and announced
 */
export async function acceptWithState(
  core: RoomsCore,
  room: OpenRoom,
  event: IdentifiedPdu,
  before: GroupedState,
  options: AcceptOptions = {},
): Promise<{ readonly judgement: Judgement; readonly durable: Promise<KeptEvent> }> {
  const { isRelayed = false, isHandedOver = false, startsAnew = false, ...accompanying } = options
  const { eventId, pdu } = event
  const outlier = await room.find(eventId)
  const eventById = await loadAuthEvents(room, event)
  const isFirst = startsAnew || room.head.extremities.length === 0
  const stateSeen = (state: StateMap): StateMap => (room.partial && stateToJudgeBy(event, eventById, state)) || state
  const seenBefore = stateSeen(before.state)
  const current = isFirst || room.head.state === before.state ? seenBefore : stateSeen(room.head.state)
  const byRules = judge({ event, rules: room.rules, eventById, before: seenBefore, current })
  const judgement: Judgement =
    byRules.outcome !== 'accepted' || isRecommended(core, room, pdu)
      ? byRules
      : { outcome: 'softFailed', why: "the room's policy server has not signed it" }
  const missing: string[] = []
  for (const previous of referencedIds(pdu.prev_events)) {
    if ((await room.find(previous))?.order == null) missing.push(previous)
  }
  const missingFrom = missing.length > 0 && !startsAnew ? await gapAtDepth(room, depthOf(pdu)) : undefined
  const behind = judgement.outcome === 'accepted' ? await behindHidden(room, pdu) : undefined
  const { durable } = await stageEvent(
    core,
    room,
    {
      event,
      json: keptJson(event),
      before,
      judgement,
      outlier,
      missing,
      missingFrom,
      behind,
      startsAnew,
      isRelayed,
      isHandedOver,
    },
    accompanying,
  )
  if (judgement.outcome !== 'accepted') {
    const { outcome, why } = judgement
    core.environment.logger.info({ event: `pdu.${outcome}`, roomId: room.roomId, eventId, why })
  }
  return { judgement, durable }
}

/** So many events that nothing is built on are looked behind. */
const MAX_HIDDEN = 100

/**
 * The events before rejected and soft-failed ones that an event builds on: it takes their place as the room's end, though it
 * does not name them.
 */
async function behindHidden(room: OpenRoom, pdu: Pdu): Promise<ReadonlySet<string> | undefined> {
  const behind = new Set<string>()
  const ends = new Set(room.head.extremities.map(({ eventId }) => eventId))
  const hidden = new Set(referencedIds(pdu.prev_events))
  let lookedAt = 0
  for (const eventId of hidden) {
    // Whatever is not an end has nothing hidden behind it that would matter, as most events.
    if (ends.has(eventId)) continue
    lookedAt += 1
    if (lookedAt > MAX_HIDDEN) break
    const event = await room.find(eventId)
    if (!event?.isRejected && !event?.isSoftFailed) continue
    for (const previous of referencedIds(event.pdu.prev_events)) {
      behind.add(previous)
      hidden.add(previous)
    }
  }
  return behind.size === 0 ? undefined : behind
}
