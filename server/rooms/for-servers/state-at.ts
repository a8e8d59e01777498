/** The state of a room as it was before one of its events. Spec: server-server-api §Retrieving events. */
import { notFound } from '../../../shared/matrix/errors.ts'
import type { RoomsCore } from '../core.ts'
import type { KeptEvent } from '../event.ts'
import type { OpenRoom } from '../open-room.ts'
import type { OpenRooms } from '../open-rooms.ts'
import { stateOfGroup } from '../resolve.ts'
import type { StateMap } from '../state-map.ts'
import { type Asking, findDurable, outside, withRoomOf } from './admission.ts'
import { authChainOf, findImpliedCreate } from './auth-chain.ts'
import { type JsonPieces, jsonObject } from './json-pieces.ts'

/** A point in a room that a server asks about. */
export interface AskingAt extends Asking {
  readonly eventId: string
}

/**
 * The state before an event, and its auth chain, as JSON.
 * @throws MatrixError 403 M_FORBIDDEN; 404 M_NOT_FOUND where the event, or the state before it, is not known
 */
export function readStateAt(core: RoomsCore, rooms: OpenRooms, asking: AskingAt): Promise<JsonPieces> {
  return withRoomOf(core, rooms, asking, async (room) => {
    const state = await stateBeforeEvent(room, asking.eventId)
    return reopened(rooms, asking, (again) =>
      jsonObject([
        ['pdus', textsOf(state.all())],
        ['auth_chain', textsOf(authChainOf(again, state.all()))],
      ]),
    )
  })
}

/** As `readStateAt`, with the events' IDs only. */
export function readStateIdsAt(core: RoomsCore, rooms: OpenRooms, asking: AskingAt): Promise<JsonPieces> {
  return withRoomOf(core, rooms, asking, async (room) => {
    const state = await stateBeforeEvent(room, asking.eventId)
    return reopened(rooms, asking, (again) =>
      jsonObject([
        ['pdu_ids', idsOf(state.all())],
        ['auth_chain_ids', idsOf(authChainOf(again, state.all()))],
      ]),
    )
  })
}

/**
 * The auth chain of any event that is known, as JSON.
 * @throws MatrixError 403 M_FORBIDDEN, 404 M_NOT_FOUND
 */
export function readEventAuth(core: RoomsCore, rooms: OpenRooms, asking: AskingAt): Promise<JsonPieces> {
  return withRoomOf(core, rooms, asking, async (room) => {
    const event = await findDurable(room, asking.eventId)
    if (!event) throw notFound('There is no such event in the room')
    return reopened(rooms, asking, (again) => jsonObject([['auth_chain', textsOf(withImpliedCreate(again, event))]]))
  })
}

async function* withImpliedCreate(room: OpenRoom, event: KeptEvent): AsyncGenerator<KeptEvent> {
  const create = event.pdu.type === 'm.room.create' ? undefined : await findImpliedCreate(room)
  if (create) yield create
  yield* authChainOf(room, [event])
}

async function stateBeforeEvent(room: OpenRoom, eventId: string): Promise<StateMap> {
  const event = await findDurable(room, eventId)
  if (event?.order == null || room.partial)
    throw notFound('There is no such event, or the state before it is not known')
  return stateOfGroup(room, event.groupBefore)
}

export async function* textsOf(events: Iterable<KeptEvent> | AsyncIterable<KeptEvent>): AsyncGenerator<string> {
  for await (const { json } of events) yield json
}

async function* idsOf(events: Iterable<KeptEvent> | AsyncIterable<KeptEvent>): AsyncGenerator<string> {
  for await (const { eventId } of events) yield JSON.stringify(eventId)
}

/** Holds the room while pieces are read, which may never begin: an answer that nobody waits for is not even started. */
export async function* reopened(
  rooms: OpenRooms,
  { roomId }: Asking,
  read: (room: OpenRoom) => JsonPieces,
): AsyncGenerator<string> {
  using held = await rooms.hold(roomId)
  if (!held) throw outside()
  yield* read(held.room)
}
