/**
 * The rooms of a user, those with the newest activity first: what lists of sliding sync are taken from.
 * Spec: MSC4186 §Lists, §Activity ordering.
 */
import type { MembershipEntry, RoomsForReaders } from '../rooms/index.ts'
import { LeastRecentlyUsed } from './least-recently-used.ts'
import type { RoomChanges } from './room-changes.ts'

/** Users whose order is remembered. */
const MAX_USERS = 500

/** A room in the order. Made anew whenever something happens in it, so that what was found out about it can hang on it. */
export interface OrderedRoom {
  readonly roomId: string
  readonly entry: MembershipEntry
  /** Stream position of the last event; of the user's own membership where they are not in the room. */
  readonly activity: number
}

export interface RoomOrder {
  /** Newest activity first. Another array whenever anything changed. */
  readonly rooms: readonly OrderedRoom[]
  readonly memberships: ReadonlyMap<string, MembershipEntry>
}

interface Remembered extends RoomOrder {
  /** All changes up to this position are in it. */
  readonly upTo: number
}

export class RoomOrders {
  readonly #rooms: RoomsForReaders
  readonly #roomChanges: RoomChanges
  readonly #byUser = new LeastRecentlyUsed<string, Remembered>(MAX_USERS)

  constructor(rooms: RoomsForReaders, roomChanges: RoomChanges) {
    this.#rooms = rooms
    this.#roomChanges = roomChanges
  }

  /** @param upTo the stream position now */
  async of(userId: string, upTo: number): Promise<RoomOrder> {
    const memberships = await this.#rooms.memberships(userId)
    const before = this.#byUser.get(userId)
    let rooms: readonly OrderedRoom[] | undefined
    if (before?.memberships === memberships) {
      if (before.upTo >= upTo) return before
      const changed = this.#roomChanges.since(before.upTo, Math.max(64, memberships.size))
      rooms = changed && this.#moved(before, changed)
    }
    rooms ??= this.#inOrder([...memberships.values()].filter(isListed))
    const order = { rooms, memberships, upTo }
    this.#byUser.set(userId, order)
    return order
  }

  #inOrder(entries: readonly MembershipEntry[]): OrderedRoom[] {
    return entries
      .map((entry) => ({ roomId: entry.roomId, entry, activity: this.#activityOf(entry) }))
      .sort((a, b) => b.activity - a.activity)
  }

  #activityOf({ roomId, membership, position }: MembershipEntry): number {
    return membership === 'join' ? Math.max(position, this.#rooms.lastChange(roomId)) : position
  }

  /** The order after something happened in some of the rooms. */
  #moved({ rooms, memberships }: RoomOrder, changed: ReadonlySet<string>): readonly OrderedRoom[] {
    const entries: MembershipEntry[] = []
    for (const roomId of changed) {
      const entry = memberships.get(roomId)
      if (entry && isListed(entry)) entries.push(entry)
    }
    if (entries.length === 0) return rooms
    const moving = this.#inOrder(entries)
    const moved: OrderedRoom[] = []
    let next = 0
    for (const room of rooms) {
      if (changed.has(room.roomId)) continue
      while (next < moving.length && (moving[next] as OrderedRoom).activity >= room.activity) {
        moved.push(moving[next] as OrderedRoom)
        next += 1
      }
      moved.push(room)
    }
    moved.push(...moving.slice(next))
    return moved
  }
}

/**
 * Whether lists hold the room at all times: rooms that the user left themself are told of once and then no more, others put
 * them out of by someone else stay.
 */
function isListed({ membership, previous, sender, userId }: MembershipEntry): boolean {
  switch (membership) {
    case 'join':
    case 'invite':
    case 'knock':
      return true
    case 'leave':
      return sender !== userId && previous === 'join'
    case 'ban':
      return previous === 'join' || previous === 'leave'
  }
}
