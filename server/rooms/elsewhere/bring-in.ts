/**
 * Makes a room of what a server answered to the join of one of our users: everything of it is checked as if it had come by
 * itself. Spec: server-server-api §Joining Rooms, §Checks performed on receipt of a PDU.
 */
import { forbidden } from '../../../shared/matrix/errors.ts'
import { isServerName } from '../../../shared/matrix/identifiers.ts'
import type { JoinAnswer } from '../../federation/index.ts'
import { createEventIdOf } from '../../protocol/event-id.ts'
import { isJsonObject } from '../../protocol/json.ts'
import { type IdentifiedPdu, type Json, referencedIds } from '../../protocol/pdu.ts'
import { put, remove } from '../../store/index.ts'
import type { RoomsCore } from '../core.ts'
import type { KeptEvent } from '../event.ts'
import type { OpenRoom } from '../open-room.ts'
import type { OpenRooms } from '../open-rooms.ts'
import { type PartialState, partialRooms, partialRow, partialState } from '../partial-state.ts'
import { withPolicySignature } from '../policy-signature.ts'
import { acceptWithState } from '../receive/accept.ts'
import { judge, loadAuthEvents } from '../receive/authorize.ts'
import { groupOfState } from '../receive/imported-state.ts'
import { receiveOutliers } from '../receive/outliers.ts'
import { parseReceived } from '../receive/parse.ts'
import { stateSlot } from '../state-map.ts'
import { roomChanges, roomIndex } from '../store.ts'
import { badAnswer } from './servers.ts'
import { roomsBeingJoined } from './store.ts'
import type { OwnEvent } from './template.ts'

/** More servers are not told of our events while the members are not known; each costs a connection. */
const MAX_SERVERS = 2_000

/** A room that was joined through another server. */
export interface BroughtIn {
  readonly server: string
  readonly answer: JoinAnswer
  /** The join with the signatures that it needs. */
  readonly join: OwnEvent
}

/**
 * Keeps a room that this server did not know, or had left. All of it is there when it resolves; where it fails, or the server
 * dies meanwhile, nothing of it is.
 *
 * @param known the room as it was when the last of our users left
 * @throws RemoteError where the answer is not the room's state before the join
 */
export async function bringIn(
  core: RoomsCore,
  rooms: OpenRooms,
  roomId: string,
  brought: BroughtIn,
  known: OpenRoom | undefined,
): Promise<void> {
  if (known) {
    if (known.rules.version !== brought.join.rules.version) {
      throw badAnswer(brought.server, 'the room is of another version than it was')
    }
    await (await stageJoin(core, known, brought)).durable
    return
  }
  await core.store.commit(() => [put(roomsBeingJoined, { roomId })])
  try {
    using prepared = await rooms.prepare(roomId, brought.join.rules.version)
    const { room } = prepared
    try {
      const { durable } = await stageJoin(core, room, brought, (staged) => rooms.adopt(room, staged))
      await durable
    } catch (error) {
      await room.settled()
      room[Symbol.dispose]()
      throw error
    }
  } catch (error) {
    await takeAway(core, roomId)
    throw error
  }
}

/** Takes away what a stop has left of rooms that were being joined. To be called at the start. */
export async function takeAwayUnfinished(core: RoomsCore): Promise<void> {
  for (const { roomId } of await core.store.home.range(roomsBeingJoined, { index: 'roomId' })) {
    await takeAway(core, roomId)
  }
}

async function takeAway(core: RoomsCore, roomId: string): Promise<void> {
  await core.store.commit(() => [
    { op: 'dropRoom', roomId },
    remove(roomChanges, roomId),
    remove(roomsBeingJoined, roomId),
  ])
  core.changes.delete(roomId)
}

/** @param onStaged called where a new room's first event is built, before anybody can hear of it */
async function stageJoin(
  core: RoomsCore,
  room: OpenRoom,
  { server, answer, join }: BroughtIn,
  onStaged?: (durable: Promise<KeptEvent>) => void,
): Promise<{ readonly durable: Promise<KeptEvent> }> {
  const stateIds = checkState(server, room, answer.state, join.eventId)
  // The past of a room hangs on servers that are long gone: for that the word of the one that lets us in is taken.
  const kept = await receiveOutliers(core, room, [...answer.state, ...answer.authChain].sort(createFirst), server, [
    server,
  ])
  for (const eventId of referencedIds(join.pdu.auth_events)) {
    if (!kept.has(eventId) && !(await room.find(eventId)))
      throw badAnswer(server, `${eventId} of the auth events is missing`)
  }
  const isNew = onStaged !== undefined
  const event = isNew ? join : await withPolicySignature(core, room, join)
  return await room.enter(async () => {
    const before = await groupOfState(room, answer.membersOmitted ? await withOwnAuth(room, stateIds, event) : stateIds)
    if (!before.state.get('m.room.create')) throw badAnswer(server, 'the create event is not signed as it should be')
    const current = before.state
    const eventById = await loadAuthEvents(room, event)
    const verdict = judge({ event, rules: room.rules, eventById, before: current, current })
    if (verdict.outcome !== 'accepted') {
      for (const { id } of before.newGroups ?? []) room.groups.discard(id)
      throw badAnswer(server, `by the state that it gave one may not join: ${verdict.why}`)
    }
    const mark = answer.membersOmitted
      ? partialMark(core, room, { server, answer, join, group: before.group })
      : undefined
    const { partial } = room
    room.partial = mark
    const { judgement, durable } = await acceptWithState(core, room, event, before, {
      startsAnew: true,
      isHandedOver: true,
      ops: () => [
        ...(isNew ? [put(roomIndex, room.row), remove(roomsBeingJoined, room.roomId)] : []),
        mark ? put(partialRooms, partialRow(mark)) : remove(partialRooms, room.roomId),
      ],
    })
    const isIn = judgement.outcome === 'accepted'
    if (!isIn) room.partial = partial
    durable.then(
      () => isIn && partial?.completed.resolve(),
      () => {
        room.partial = partial
      },
    )
    if (!isIn) throw forbidden(judgement.why)
    onStaged?.(durable)
    return { durable }
  })
}

/** Where members are left out of the state, those by whose leave the user joins are found in the auth events. */
async function withOwnAuth(
  room: OpenRoom,
  stateIds: readonly string[],
  { pdu }: IdentifiedPdu,
): Promise<readonly string[]> {
  const members: string[] = []
  for (const eventId of referencedIds(pdu.auth_events)) {
    if ((await room.find(eventId))?.pdu.type === 'm.room.member') members.push(eventId)
  }
  // What the state names itself comes first, and counts.
  return [...stateIds, ...members]
}

/** All others are judged by it, though from room version 12 on none of them says so. */
const createFirst = (a: Json, b: Json): number => Number(isCreate(b)) - Number(isCreate(a))
const isCreate = (json: Json): boolean => isJsonObject(json) && json.type === 'm.room.create'

function partialMark(
  core: RoomsCore,
  { roomId }: OpenRoom,
  about: { readonly server: string; readonly answer: JoinAnswer; readonly join: OwnEvent; readonly group: number },
): PartialState {
  const { server, answer, join, group } = about
  const { serverName } = core.environment
  const named = [server, ...answer.serversInRoom].filter((name) => name !== serverName && isServerName(name))
  return partialState({
    roomId,
    joinEventId: join.eventId,
    group,
    from: server,
    servers: new Set(named.slice(0, MAX_SERVERS)),
  })
}

/**
 * Whether the answer can be the room's state at all, before any of it is kept: well-formed state events of this room, one for
 * each piece of state, from one create event of the room's version.
 * @returns their IDs
 */
export function checkState(
  server: string,
  room: OpenRoom,
  state: readonly Json[],
  joinEventId?: string,
): readonly string[] {
  const { roomId, rules } = room
  const slots = new Set<string>()
  const ids: string[] = []
  const events: IdentifiedPdu[] = []
  for (const json of state) {
    const parsed = parseReceived(json, roomId, rules)
    // What a room holds that is not fit for its version is left out, as all of its servers do.
    if (!parsed.ok) continue
    const { eventId, pdu } = parsed.event
    if (pdu.state_key === undefined) throw badAnswer(server, 'the state has an event that is none of state')
    const slot = stateSlot(pdu.type, pdu.state_key)
    if (slots.has(slot)) throw badAnswer(server, `the state has ${pdu.type} twice`)
    if (eventId === joinEventId) throw badAnswer(server, 'the state before the join holds the join')
    slots.add(slot)
    ids.push(eventId)
    events.push(parsed.event)
  }
  const create = events.find(({ pdu }) => pdu.type === 'm.room.create' && pdu.state_key === '')
  if (!create) throw badAnswer(server, 'the state has no create event')
  const { room_version: version = '1' } = create.pdu.content
  if (version !== rules.version) throw badAnswer(server, 'the create event is of another room version')
  if (rules.roomIdIsCreateHash) {
    if (create.eventId !== createEventIdOf(roomId)) throw badAnswer(server, "the create event is not the room's")
  } else {
    const isForeign = ({ eventId, pdu }: IdentifiedPdu): boolean =>
      eventId !== create.eventId && !referencedIds(pdu.auth_events).includes(create.eventId)
    if (events.some(isForeign)) throw badAnswer(server, 'the state has an event of another create event')
  }
  return ids
}
