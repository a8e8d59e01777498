import type { RoomEvent, RoomsForReaders, RoomView } from '../rooms/index.ts'
import type { Unread, UnreadEvent } from './counts.ts'
import { findRoom, inviteScene, type Scene } from './invite-scene.ts'

/** An event that a user is to be notified of. */
export interface Notice extends UnreadEvent {
  readonly roomId: string
  /** It invites the user, who is not in the room yet. */
  readonly isInvite: boolean
}

/** What a notice is about, as long as it is unread. The room is held until disposed. */
export interface OpenNotice extends Disposable {
  readonly view: Scene
  readonly event: RoomEvent
}

/**
 * A user who has pushers: what they have not read, over all rooms. Kept in memory from the first question on and changed room by
 * room, so that the number on an app's icon costs as much as the rooms that changed.
 */
export class Recipient {
  readonly userId: string
  readonly #rooms: RoomsForReaders
  readonly #unread: Unread
  readonly #onNotices: (notices: readonly Notice[]) => void
  /** Of rooms that have something unread. */
  readonly #counts = new Map<string, number>()
  /** By joined room that was looked at, the order up to which notices were given. */
  readonly #seen = new Map<string, number>()
  #total = 0
  #counting: Promise<void> | undefined

  constructor(
    userId: string,
    deps: { readonly rooms: RoomsForReaders; readonly unread: Unread },
    onNotices: (notices: readonly Notice[]) => void,
  ) {
    this.userId = userId
    this.#rooms = deps.rooms
    this.#unread = deps.unread
    this.#onNotices = onNotices
  }

  /** Takes note of what is unread in a room now, and gives the notices that are new. */
  async look(view: RoomView): Promise<void> {
    const { roomId, latestOrder } = view
    const events = await this.#unread.eventsOf(this.userId, view)
    const seen = this.#seen.get(roomId) ?? Number.NEGATIVE_INFINITY
    if (view.membershipOf(this.userId) === 'join') this.#seen.set(roomId, Math.max(seen, latestOrder))
    else this.#seen.delete(roomId)
    this.#total += events.length - (this.#counts.get(roomId) ?? 0)
    if (events.length > 0) this.#counts.set(roomId, events.length)
    else this.#counts.delete(roomId)
    const fresh = events.filter(({ order }) => order > seen)
    if (fresh.length > 0) this.#onNotices(fresh.map((event) => ({ ...event, roomId, isInvite: false })))
  }

  /** How many events they have not read, over all rooms that they are joined to. */
  async total(): Promise<number> {
    this.#counting ??= this.#countAll()
    try {
      await this.#counting
    } catch (error) {
      this.#counting = undefined
      throw error
    }
    return this.#total
  }

  /** Rooms that have something unread, or had when the user's rules changed. */
  roomsToRecount(): ReadonlySet<string> {
    return new Set([...this.#counts.keys(), ...this.#unread.roomsToRecount(this.userId)])
  }

  /** @returns `undefined` for what was read or redacted, or where the user has left */
  async open(notice: Pick<Notice, 'roomId' | 'eventId' | 'isInvite'>): Promise<OpenNotice | undefined> {
    const membership = await this.#rooms.findMembership(this.userId, notice.roomId)
    if (membership?.membership !== (notice.isInvite ? 'invite' : 'join')) return undefined
    const view = await findRoom(this.#rooms, notice.roomId)
    if (!view || (notice.isInvite && view.membershipOf(this.userId) !== 'invite')) {
      view?.[Symbol.dispose]()
      const scene = membership.eventId === notice.eventId ? inviteScene(membership) : undefined
      return scene && { ...scene, [Symbol.dispose]: () => undefined }
    }
    try {
      const event = (await this.#isUnread(notice, view)) ? await view.find(notice.eventId) : undefined
      if (event && !event.redactedBecause) return { view, event, [Symbol.dispose]: () => view[Symbol.dispose]() }
    } catch (error) {
      view[Symbol.dispose]()
      throw error
    }
    view[Symbol.dispose]()
    return undefined
  }

  async #isUnread({ eventId, isInvite }: Pick<Notice, 'eventId' | 'isInvite'>, view: RoomView): Promise<boolean> {
    if (isInvite) return view.state.get('m.room.member', this.userId)?.eventId === eventId
    return (await this.#unread.eventsOf(this.userId, view)).some((event) => event.eventId === eventId)
  }

  async #countAll(): Promise<void> {
    for (const [roomId, { membership }] of await this.#rooms.memberships(this.userId)) {
      if (membership !== 'join' || this.#seen.has(roomId)) continue
      using view = await this.#rooms.open(roomId)
      await this.look(view)
    }
  }
}
