import type { Op, Store } from '../store/index.ts'
import { put } from '../store/index.ts'
import type { MembershipEntry } from './contract.ts'
import { type MembershipRow, membershipEntry, membershipKey, memberships } from './store.ts'

/** A membership, and what tells what its user may still read after leaving. */
export interface KeptMembership extends MembershipEntry {
  /** Order of the user's newest join event; `null` where they never were in the room. */
  readonly joinOrder: number | null
  /** The event by which they were last out of the room, and the state group after it; `null` while they are in it. */
  readonly leftOrder: number | null
  readonly leftGroup: number | null
}

interface Loading {
  readonly promise: Promise<ReadonlyMap<string, KeptMembership>>
  /** Something changed after the rows may have been read. */
  readonly rows: { areStale: boolean }
}

const MAX_CACHED_USERS = 2_000

const kept = (row: MembershipRow): KeptMembership => ({
  ...membershipEntry(row),
  joinOrder: row.joinOrder,
  leftOrder: row.leftOrder,
  leftGroup: row.leftGroup,
})

/** Our own users' memberships, by user: in memory for users in use. */
export class Memberships {
  readonly #store: Store
  /** By user, then by room. The maps are replaced, never changed. */
  readonly #cached = new Map<string, ReadonlyMap<string, KeptMembership>>()
  readonly #loading = new Map<string, Loading>()

  constructor(store: Store) {
    this.#store = store
  }

  /** All of a user's, by room ID; forgotten ones too. */
  async of(userId: string): Promise<ReadonlyMap<string, KeptMembership>> {
    const cached = this.#cached.get(userId)
    if (cached) return cached
    const loading = this.#loading.get(userId)
    if (loading) return loading.promise
    const rows = { areStale: false }
    const promise = this.#load(userId, rows).finally(() => this.#loading.delete(userId))
    this.#loading.set(userId, { promise, rows })
    return promise
  }

  async find(userId: string, roomId: string): Promise<KeptMembership | undefined> {
    return (await this.of(userId)).get(roomId)
  }

  /** Our users who are joined to a room. */
  async joinedTo(roomId: string): Promise<ReadonlySet<string>> {
    const rows = await this.#store.home.range(memberships, { index: 'roomId', from: roomId, to: `${roomId}\u0000` })
    return new Set(rows.filter(({ membership }) => membership === 'join').map(({ userId }) => userId))
  }

  /** The write of a changed membership; `applied` is to follow when it is durable. */
  write(row: MembershipRow): Op {
    return put(memberships, row)
  }

  applied(row: MembershipRow): void {
    const loading = this.#loading.get(row.userId)
    if (loading) loading.rows.areStale = true
    const cached = this.#cached.get(row.userId)
    if (cached) this.#cached.set(row.userId, new Map(cached).set(row.roomId, kept(row)))
  }

  async #load(userId: string, read: Loading['rows']): Promise<ReadonlyMap<string, KeptMembership>> {
    for (;;) {
      read.areStale = false
      const rows = await this.#store.home.range(memberships, { index: 'userId', from: userId, to: `${userId}\u0000` })
      if (read.areStale) continue
      const byRoom = new Map(rows.map((row) => [row.roomId, kept(row)]))
      this.#keep(userId, byRoom)
      return byRoom
    }
  }

  #keep(userId: string, byRoom: ReadonlyMap<string, KeptMembership>): void {
    this.#cached.set(userId, byRoom)
    if (this.#cached.size <= MAX_CACHED_USERS) return
    for (const oldest of this.#cached.keys()) {
      this.#cached.delete(oldest)
      break
    }
  }
}

export function membershipRow(entry: KeptMembership): MembershipRow {
  return {
    key: membershipKey(entry.userId, entry.roomId),
    userId: entry.userId,
    roomId: entry.roomId,
    membership: entry.membership,
    eventId: entry.eventId,
    sender: entry.sender,
    position: entry.position,
    previous: entry.previous,
    isForgotten: entry.isForgotten,
    strippedState: entry.strippedState === undefined ? null : JSON.stringify(entry.strippedState),
    joinOrder: entry.joinOrder,
    leftOrder: entry.leftOrder,
    leftGroup: entry.leftGroup,
  }
}
