/**
 * Templates of memberships for users of other servers, who come into a room or leave it through us.
 * Spec: server-server-api §Joining Rooms, §Knocking upon a room, §Leaving Rooms.
 */
import { forbidden, MatrixError } from '../../../shared/matrix/errors.ts'
import { serverNameOf } from '../../../shared/matrix/identifiers.ts'
import { checkAuth, roomStateOf, selectAuthEvents } from '../../protocol/auth-rules/index.ts'
import { nextDepth } from '../../protocol/event-format.ts'
import type { JsonObject, Pdu } from '../../protocol/pdu.ts'
import { previousOf } from '../build.ts'
import type { RoomsCore } from '../core.ts'
import type { KeptEvent } from '../event.ts'
import { referenceTo } from '../heads.ts'
import type { OpenRoom } from '../open-room.ts'
import type { OpenRooms } from '../open-rooms.ts'
import { type Asking, hasServer, outside, withResidentRoom } from './admission.ts'
import { authoriserOf } from './restricted-join.ts'

export interface MembershipAsk extends Asking {
  readonly userId: string
  readonly membership: 'join' | 'leave' | 'knock'
  /** Room versions that the other server knows; for joins and knocks. */
  readonly versions?: readonly string[]
}

export interface MembershipDraft {
  readonly roomVersion: string
  readonly event: JsonObject
}

/**
 * What the event may be like, where the room would let it be.
 *
 * @throws MatrixError 403 M_FORBIDDEN for a user of another server than the one that asks, a server that is shut out, and what
 *   the rules have against it; 404 M_NOT_FOUND for a room that this server is not in (403 for leaves); 400
 *   M_INCOMPATIBLE_ROOM_VERSION, only to those who would be let in; 400 as `authoriserOf`
 */
export async function draftMembership(core: RoomsCore, rooms: OpenRooms, ask: MembershipAsk): Promise<MembershipDraft> {
  if (serverNameOf(ask.userId) !== ask.server) throw forbidden('The user is not one of your server')
  return withRoomFor(core, rooms, ask, async (room) => {
    const authoriser = ask.membership === 'join' ? await authoriserOf(core, rooms, room, ask.userId) : undefined
    const event = draftOn(core, room, ask, {
      membership: ask.membership,
      ...(authoriser !== undefined && { join_authorised_via_users_server: authoriser }),
    })
    requireAllowed(core, room, event)
    const { version } = room.rules
    if (ask.versions && !ask.versions.includes(version)) {
      throw new MatrixError('M_INCOMPATIBLE_ROOM_VERSION', 400, 'Your server does not know the version of this room', {
        room_version: version,
      })
    }
    return { roomVersion: version, event }
  })
}

/** A room to come into or to leave: the specification names no 404 for leaves, and nobody can leave an unknown room. */
export async function withRoomFor<T>(
  core: RoomsCore,
  rooms: OpenRooms,
  ask: Asking & Pick<MembershipAsk, 'membership'>,
  work: (room: OpenRoom) => Promise<T>,
): Promise<T> {
  const isHere = () => hasServer(core, rooms, { server: core.environment.serverName, roomId: ask.roomId })
  if (ask.membership === 'leave' && !(await isHere())) throw outside()
  return withResidentRoom(core, rooms, ask, work)
}

function draftOn(
  { environment }: RoomsCore,
  { visible, rules, roomId }: OpenRoom,
  { userId }: MembershipAsk,
  content: JsonObject,
): JsonObject {
  const subject = { type: 'm.room.member', sender: userId, state_key: userId, content }
  const find = (type: string, stateKey: string): KeptEvent | undefined => visible.state.get(type, stateKey)
  const authEvents = selectAuthEvents(subject, find, rules)
  const previous = previousOf(visible.extremities)
  return {
    ...subject,
    room_id: roomId,
    origin: environment.serverName,
    origin_server_ts: environment.clock.now(),
    depth: nextDepth(previous.map(({ depth }) => depth)),
    prev_events: previous.map(({ reference }) => reference),
    auth_events: authEvents.map((event) => referenceTo(event, rules)),
  } as unknown as JsonObject
}

/** @throws MatrixError 403 M_FORBIDDEN */
function requireAllowed({ environment }: RoomsCore, { visible, rules }: OpenRoom, event: JsonObject): void {
  const state = roomStateOf((type, stateKey) => visible.state.get(type, stateKey), rules)
  const verdict = checkAuth(event as unknown as Pdu, state, rules, {
    // It will bear our signature, if ours is needed.
    isSignedBy: (_, server) => server === environment.serverName,
  })
  if (!verdict.ok) throw forbidden(verdict.why)
}
