/**
 * The rooms that a request of sliding sync has chosen. Spec: MSC4186 §Lists and subscriptions.
 */
import type { MembershipEntry } from '../rooms/index.ts'
import type { RoomOrder } from './sliding-room-order.ts'
import type { ExtensionScope, Place, Wish } from './sliding-wish.ts'

/** A room that a request has chosen. */
export interface ChosenRoom {
  readonly entry: MembershipEntry
  readonly place: Pick<Place, 'lists' | 'config'>
}

export interface Choice {
  /** By room ID, in the order in which they were chosen. */
  readonly rooms: ReadonlyMap<string, ChosenRoom>
  /** By list, how many rooms it has, within the window or not. */
  readonly counts: ReadonlyMap<string, number>
}

/** The newest choice of a connection. Where nothing changed that it follows from, it is the choice again. */
export interface RememberedChoice extends Choice {
  readonly key: string
  readonly order: RoomOrder['rooms']
  readonly memberships: RoomOrder['memberships']
  readonly accountVersion: number
  readonly ignored: ReadonlySet<string>
}

/** Whether an extension tells of a chosen room. */
export function isInScope(scope: ExtensionScope, wish: Wish, roomId: string, { place }: ChosenRoom): boolean {
  const { lists: names, rooms } = scope
  const { lists } = place
  if (names === null ? lists.length > 0 : lists.some((name) => names.has(name))) return true
  return wish.subscriptions.has(roomId) && (rooms === null || rooms.has(roomId))
}
