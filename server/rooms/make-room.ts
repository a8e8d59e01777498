import { MatrixError } from '../../shared/matrix/errors.ts'
import { encodeBase64Url } from '../protocol/base64.ts'
import { roomIdOfCreate } from '../protocol/event-id.ts'
import type { JsonObject } from '../protocol/pdu.ts'
import { findRoomVersion, type RoomVersionRules } from '../protocol/room-versions.ts'
import { type Op, put } from '../store/index.ts'
import { type BuiltEvent, buildEvent } from './build.ts'
import type { RoomsCore } from './core.ts'
import type { OpenRoom } from './open-room.ts'
import type { OpenRooms } from './open-rooms.ts'
import { proposeBuilt } from './propose.ts'
import { setMembership } from './set-membership.ts'
import { EMPTY_GROUP } from './state-groups.ts'
import { StateMap } from './state-map.ts'
import { roomIndex } from './store.ts'

/** A room that is to be made. */
export interface RoomDraft {
  readonly rules: RoomVersionRules
  readonly creator: string
  /** Of a creator without an account. */
  readonly creatorProfile?: JsonObject
  /** Of the create event, without what follows from the version. */
  readonly content: JsonObject
  /** Only in versions whose rooms may be named; without it one is chosen. */
  readonly roomId?: string
  /** Whether the room directory shows it. */
  readonly isPublished: boolean
  /** Further writes of the commit that makes it. */
  readonly ops?: (roomId: string) => readonly Op[]
  /** Stages what comes after the creator's join. */
  readonly stageRest: (room: OpenRoom) => Promise<{ readonly durable: Promise<unknown> } | undefined>
}

/** @throws MatrixError 400 M_UNSUPPORTED_ROOM_VERSION */
export function requireRoomVersion(version: string): RoomVersionRules {
  const rules = findRoomVersion(version)
  if (!rules) throw new MatrixError('M_UNSUPPORTED_ROOM_VERSION', 400, 'This server does not know that room version')
  return rules
}

/** A room ID of a version whose IDs are chosen. */
export const newRoomId = ({ environment }: RoomsCore): string =>
  `!${encodeBase64Url(environment.random.bytes(18))}:${environment.serverName}`

/**
 * Makes a room: every event through the same pipeline, all of them in one commit.
 *
 * @returns the new room's ID
 * @throws MatrixError 400 M_INVALID_ROOM_STATE where the rules have something against an event of it. Nothing was made then
 */
export async function makeRoom(core: RoomsCore, rooms: OpenRooms, draft: RoomDraft): Promise<string> {
  let createdTs = core.environment.clock.now()
  let create = buildCreate(core, draft, createdTs)
  // The same wish in the same millisecond would make the same room of version 12.
  while (rooms.isKnown(create.roomId)) {
    createdTs += 1
    create = buildCreate(core, draft, createdTs)
  }
  const { built, roomId } = create
  using held = await rooms.make(roomId, draft.rules.version)
  const { room } = held
  room.isPublished = draft.isPublished
  try {
    const last = await room.enter(async () => {
      try {
        return await stageAll(core, room, draft, built)
      } catch (error) {
        // Of a room that cannot be made whole nothing is made.
        room.abandon(error)
        throw asInvalidState(error)
      }
    })
    await last.durable
    return roomId
  } catch (error) {
    rooms.discard(room)
    throw error
  }
}

/** What the rules have against an event of a new room is what is wrong with the request. */
function asInvalidState(error: unknown): unknown {
  if (!(error instanceof MatrixError) || error.errcode !== 'M_FORBIDDEN') return error
  return new MatrixError('M_INVALID_ROOM_STATE', 400, error.message)
}

/** The create event, and the ID of the room that it makes. */
function buildCreate(
  core: RoomsCore,
  { rules, creator, content, roomId: wished }: RoomDraft,
  createdTs: number,
): { readonly built: BuiltEvent; readonly roomId: string } {
  const { environment, signingKey } = core
  const roomId = rules.roomIdIsCreateHash ? undefined : (wished ?? newRoomId(core))
  const complete = { ...content, ...(!rules.creatorIsSender && { creator }), room_version: rules.version }
  const built = buildEvent({
    environment,
    signingKey,
    rules,
    roomId,
    wish: { type: 'm.room.create', sender: creator, stateKey: '', content: complete },
    previous: [],
    state: StateMap.empty,
    createdTs,
  })
  return { built, roomId: roomId ?? roomIdOfCreate(built.event.eventId) }
}

/** @returns when the last event is durable */
async function stageAll(
  core: RoomsCore,
  room: OpenRoom,
  draft: RoomDraft,
  create: BuiltEvent,
): Promise<{ readonly durable: Promise<unknown> }> {
  const before = { group: EMPTY_GROUP, state: StateMap.empty }
  await proposeBuilt(core, room, create, before, {
    ops: () => [put(roomIndex, room.row), ...(draft.ops?.(room.roomId) ?? [])],
  })
  const { creator, creatorProfile: extra = {} } = draft
  const joined = await setMembership(core, room, { sender: creator, target: creator, membership: 'join', extra })
  return (await draft.stageRest(room)) ?? joined
}
