/**
 * What push rules and notifications may look at of a room: for one that this server has, its view; for an invite to one that it
 * has not, what the inviter's server told of it. Spec: client-server-api §Stripped state.
 */
import { MatrixError } from '../../shared/matrix/errors.ts'
import type { JsonObject, Pdu } from '../protocol/pdu.ts'
import { DEFAULT_ROOM_VERSION, findRoomVersion, getRoomVersion } from '../protocol/room-versions.ts'
import type { MembershipEntry, RoomEvent, RoomsForReaders, RoomView } from '../rooms/index.ts'

export type Scene = Pick<RoomView, 'roomId' | 'rules' | 'members'> & { readonly state: Pick<RoomView['state'], 'get'> }

export interface InviteScene {
  readonly view: Scene
  readonly event: RoomEvent
}

/** The room, if this server has it. */
export async function findRoom(rooms: RoomsForReaders, roomId: string): Promise<RoomView | undefined> {
  try {
    return await rooms.open(roomId)
  } catch (error) {
    // An invite may be to a room of another server.
    if (error instanceof MatrixError && error.status === 404) return undefined
    throw error
  }
}

/** @param entry an invite to a room that this server is not in; `undefined` where it came without the invite itself */
export function inviteScene(entry: MembershipEntry): InviteScene | undefined {
  const { roomId, userId, strippedState = [] } = entry
  const bySlot = new Map<string, RoomEvent>()
  for (const stripped of strippedState) {
    const { type, state_key: stateKey } = stripped
    if (typeof type === 'string' && typeof stateKey === 'string') {
      bySlot.set(JSON.stringify([type, stateKey]), asEvent(entry, stripped))
    }
  }
  const get = (type: string, stateKey = ''): RoomEvent | undefined => bySlot.get(JSON.stringify([type, stateKey]))
  const event = get('m.room.member', userId)
  if (!event) return undefined
  const version = get('m.room.create')?.pdu.content.room_version
  const rules = (typeof version === 'string' && findRoomVersion(version)) || getRoomVersion(DEFAULT_ROOM_VERSION)
  // Nobody says how many are in it.
  const members = { joined: 0, invited: 0 }
  return { event, view: { roomId, rules, members, state: { get } } }
}

function asEvent({ roomId, eventId, position }: MembershipEntry, stripped: JsonObject): RoomEvent {
  const pdu = { ...stripped, room_id: roomId } as unknown as Pdu
  return { eventId, roomId, pdu, order: null, position, isSoftFailed: false, isRejected: false, isRelayed: false }
}
