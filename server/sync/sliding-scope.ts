/**
 * The rooms that an extension tells of, and from when on. Spec: MSC3959, MSC3960, MSC3961: `lists` and `rooms` of an extension.
 */
import { type Choice, type ChosenRoom, isInScope } from './sliding-chosen.ts'
import type { Connection, ToldRooms } from './sliding-connection.ts'
import type { ExtensionScope, Wish } from './sliding-wish.ts'

const UP_TO_NOW = Number.POSITIVE_INFINITY

export interface ScopedRoom {
  readonly roomId: string
  readonly room: ChosenRoom
  /** All up to this position has been told; `null`: nothing. */
  readonly since: number | null
}

/**
 * @param known by room, up to where the client has been told; `Infinity`: up to the connection's position
 * @returns the rooms in scope of which something may have to be told, and what the client then knows
 */
export function scopedRooms(
  connection: Connection,
  known: ReadonlyMap<string, number>,
  query: {
    readonly scope: ExtensionScope
    readonly wish: Wish
    readonly choice: Choice
    /** Rooms in which something of this kind happened since the connection's position. */
    readonly hasNews: (roomId: string) => boolean
  },
): { readonly rooms: readonly ScopedRoom[]; readonly told: ToldRooms } {
  const { scope, wish, choice, hasNews } = query
  const rooms: ScopedRoom[] = []
  const upTo = new Map<string, number>()
  let staying = 0
  for (const [roomId, room] of choice.rooms) {
    if (!isInScope(scope, wish, roomId, room)) continue
    const before = known.get(roomId)
    if (before === UP_TO_NOW) {
      staying += 1
      if (hasNews(roomId)) rooms.push({ roomId, room, since: connection.position })
    } else {
      rooms.push({ roomId, room, since: before ?? null })
      upTo.set(roomId, UP_TO_NOW)
    }
  }
  if (staying < known.size) {
    for (const [roomId, before] of known) {
      if (before !== UP_TO_NOW || connection.position === null) continue
      const room = choice.rooms.get(roomId)
      if (!room || !isInScope(scope, wish, roomId, room)) upTo.set(roomId, connection.position)
    }
  }
  return { rooms, told: { isReset: false, upTo } }
}

export const TOLD_NOTHING: ToldRooms = { isReset: true, upTo: new Map() }
