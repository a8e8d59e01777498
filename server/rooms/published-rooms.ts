import { orderKey } from '../store/index.ts'
import type { StateView } from './contract.ts'
import type { PublishedRow } from './store.ts'

/** A room as the room directory shows it. Spec: client-server-api §POST /publicRooms, PublishedRoomsChunk. */
export interface PublicRoom {
  readonly room_id: string
  readonly num_joined_members: number
  readonly world_readable: boolean
  readonly guest_can_join: boolean
  readonly name?: string
  readonly topic?: string
  readonly canonical_alias?: string
  readonly avatar_url?: string
  readonly join_rule?: string
  readonly room_type?: string
}

const SHOWN_TYPES: ReadonlySet<string> = new Set([
  'm.room.create',
  'm.room.name',
  'm.room.topic',
  'm.room.canonical_alias',
  'm.room.avatar',
  'm.room.join_rules',
  'm.room.history_visibility',
  'm.room.guest_access',
  'm.room.member',
])
const MOST_MEMBERS = 9_999_999_999

/** Whether a change of this type of state can change what the directory shows. */
export const isShownInDirectory = (type: string): boolean => SHOWN_TYPES.has(type)

/** @param joined how many users are joined */
export function publicRoomOf(roomId: string, state: StateView, joined: number): PublicRoom {
  const text = (type: string, key: string): string | undefined => {
    const value = state.get(type)?.pdu.content[key]
    return typeof value === 'string' && value !== '' ? value : undefined
  }
  const name = text('m.room.name', 'name')
  const topic = text('m.room.topic', 'topic')
  const alias = text('m.room.canonical_alias', 'alias')
  const avatar = text('m.room.avatar', 'url')
  const joinRule = text('m.room.join_rules', 'join_rule')
  const roomType = text('m.room.create', 'type')
  return {
    room_id: roomId,
    num_joined_members: joined,
    world_readable: text('m.room.history_visibility', 'history_visibility') === 'world_readable',
    guest_can_join: text('m.room.guest_access', 'guest_access') === 'can_join',
    ...(name !== undefined && { name }),
    ...(topic !== undefined && { topic }),
    ...(alias !== undefined && { canonical_alias: alias }),
    ...(avatar !== undefined && { avatar_url: avatar }),
    ...(joinRule !== undefined && { join_rule: joinRule }),
    ...(roomType !== undefined && { room_type: roomType }),
  }
}

/** Whether users of other servers can come into the room at all. */
export const isFederated = (state: StateView): boolean =>
  state.get('m.room.create')?.pdu.content['m.federate'] !== false

export function publishedRow(roomId: string, state: StateView, joined: number): PublishedRow {
  const room = publicRoomOf(roomId, state, joined)
  return {
    roomId: room.room_id,
    rank: orderKey('', MOST_MEMBERS - room.num_joined_members),
    summary: JSON.stringify(room),
    isClosedToServers: !isFederated(state),
  }
}
