import { forbidden } from '../../shared/matrix/errors.ts'
import { createEventIdOf } from '../protocol/event-id.ts'
import { type BuiltEvent, buildEvent, type EventWish, previousOf } from './build.ts'
import type { RoomsCore } from './core.ts'
import type { KeptEvent } from './event.ts'
import type { OpenRoom } from './open-room.ts'
import { signedByPolicy } from './policy-signature.ts'
import { judge } from './receive/authorize.ts'
import { type Accompanying, stageEvent } from './receive/commit.ts'
import { type GroupedState, resolveGroups } from './resolve.ts'

/**
 * Builds one of our users' events on the room's head and takes it through steps 4 to 8 like all others. Only within
 * `room.enter`.
 *
 * @returns the event once it is durable and announced
 * @throws MatrixError 403 M_FORBIDDEN with the sentence of the rule that is against it; 400, 413 as `buildEvent`; what the
 * room's policy server has against it
 */
export async function propose(
  core: RoomsCore,
  room: OpenRoom,
  wish: EventWish,
  accompanying: Accompanying = {},
): Promise<{ readonly eventId: string; readonly durable: Promise<KeptEvent> }> {
  const { built, before } = await buildOnHead(core, room, wish)
  return proposeBuilt(core, room, built, before, accompanying)
}

/** Builds an event on the room's head, for `proposeBuilt` before anything else comes in. Only within `room.enter`. */
export async function buildOnHead(
  core: RoomsCore,
  room: OpenRoom,
  wish: EventWish,
): Promise<{ readonly built: BuiltEvent; readonly before: GroupedState }> {
  const { head, rules } = room
  const previous = previousOf(head.extremities)
  const before: GroupedState =
    previous.length === head.extremities.length
      ? { group: head.group, state: head.state }
      : await resolveGroups(
          room,
          previous.map(({ group }) => group),
        )
  const hasNoId = rules.roomIdIsCreateHash && wish.type === 'm.room.create'
  const built = buildEvent({
    environment: core.environment,
    signingKey: core.signingKey,
    rules,
    roomId: hasNoId ? undefined : room.roomId,
    wish,
    previous,
    state: before.state,
    createdTs: wish.createdTs ?? core.environment.clock.now(),
  })
  return { built, before }
}

/** As `propose`, for an event that is built already, as the create event that names its room. */
export async function proposeBuilt(
  core: RoomsCore,
  room: OpenRoom,
  built: BuiltEvent,
  before: GroupedState,
  accompanying: Accompanying = {},
): Promise<{ readonly eventId: string; readonly durable: Promise<KeptEvent> }> {
  const { rules } = room
  const { event, authEvents } = built
  const createId = rules.roomIdIsCreateHash ? createEventIdOf(room.roomId) : undefined
  const judgement = judge({
    event,
    rules,
    before: before.state,
    current: room.head.state,
    eventById: (eventId) =>
      eventId === createId
        ? before.state.get('m.room.create')
        : authEvents.find((authEvent) => authEvent.eventId === eventId),
  })
  if (judgement.outcome !== 'accepted') throw forbidden(judgement.why)
  const signed = await signedByPolicy(core, room, event)
  const json = signed === event ? built.json : JSON.stringify(signed.pdu)
  const { durable } = await stageEvent(core, room, { event: signed, json, before, judgement }, accompanying)
  return { eventId: event.eventId, durable }
}
