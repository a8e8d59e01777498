import { forbidden, notFound } from '../../shared/matrix/errors.ts'
import { getRoomVersion } from '../protocol/room-versions.ts'
import type { RoomsCore } from './core.ts'
import { indexRoom } from './index-events.ts'
import { OpenRoom } from './open-room.ts'
import { INDEX_VERSION, roomIndex } from './store.ts'

/** How many rooms are kept in memory when nobody uses them. */
const MAX_IDLE = 64

/** A room that is not closed before it is disposed of. */
export interface HeldRoom extends Disposable {
  readonly room: OpenRoom
}

/** The rooms in memory; opened when asked for, closed by least use. */
export class OpenRooms implements AsyncDisposable {
  readonly #core: RoomsCore
  readonly #rooms = new Map<string, Promise<OpenRoom | undefined>>()
  readonly #opened = new Map<string, OpenRoom>()
  /** Rooms that somebody waits for, who has not had time to hold them. */
  readonly #wanted = new Map<string, number>()

  constructor(core: RoomsCore) {
    this.#core = core
  }

  /** The room, if it is in memory. */
  findOpen(roomId: string): OpenRoom | undefined {
    return this.#opened.get(roomId)
  }

  /** The room, if this server knows it; held open until it is disposed of. */
  async hold(roomId: string): Promise<HeldRoom | undefined> {
    this.#wanted.set(roomId, (this.#wanted.get(roomId) ?? 0) + 1)
    try {
      const room = await this.#find(roomId)
      return room && { room, [Symbol.dispose]: room.hold() }
    } finally {
      const others = (this.#wanted.get(roomId) ?? 1) - 1
      if (others === 0) this.#wanted.delete(roomId)
      else this.#wanted.set(roomId, others)
    }
  }

  /**
   * Runs work on a room while it is held open.
   * @throws MatrixError 404 M_NOT_FOUND for a room that this server does not know
   */
  async use<T>(roomId: string, work: (room: OpenRoom) => T | Promise<T>): Promise<T> {
    using held = await this.hold(roomId)
    if (!held) throw notFound('This server does not know the room')
    return await work(held.room)
  }

  /**
   * As `use`, for what takes being in the room: whoever is outside is not told which rooms there are.
   * @throws MatrixError 403 M_FORBIDDEN for a room that this server does not know
   */
  async useAsMember<T>(roomId: string, work: (room: OpenRoom) => T | Promise<T>): Promise<T> {
    using held = await this.hold(roomId)
    if (!held) throw forbidden('You are not in this room')
    return await work(held.room)
  }

  /** Whether there is such a room, or one is being made. */
  isKnown(roomId: string): boolean {
    return this.#rooms.has(roomId) || this.#core.changes.has(roomId)
  }

  /** Opens a room that is being made, and holds it. Whoever hears of it finds it; before that nobody can know its ID. */
  async make(roomId: string, version: string): Promise<HeldRoom> {
    const room = { rules: getRoomVersion(version), isPublished: false, hadRemoteMembers: false }
    const opening = OpenRoom.open(this.#core, roomId, room)
    this.#rooms.set(roomId, opening)
    try {
      const opened = await opening
      const release = opened.hold()
      this.#opened.set(roomId, opened)
      this.#closeIdle()
      return { room: opened, [Symbol.dispose]: release }
    } catch (error) {
      this.#rooms.delete(roomId)
      throw error
    }
  }

  /** Opens a room that is being brought in from elsewhere, and holds it. Nobody else finds it before `adopt`. */
  async prepare(roomId: string, version: string): Promise<HeldRoom> {
    const room = { rules: getRoomVersion(version), isPublished: false, hadRemoteMembers: true }
    const opened = await OpenRoom.open(this.#core, roomId, room)
    return { room: opened, [Symbol.dispose]: opened.hold() }
  }

  /**
   * Lets a prepared room be found once the commit that makes it is durable; whoever looks for it meanwhile waits for that. To
   * be called before anybody can hear of it: within the `room.enter` that stages its first event.
   */
  adopt(room: OpenRoom, durable: Promise<unknown>): void {
    const { roomId } = room
    const adopting = durable.then(
      () => {
        this.#opened.set(roomId, room)
        this.#closeIdle()
        return room
      },
      () => {
        this.#rooms.delete(roomId)
        return undefined
      },
    )
    this.#rooms.set(roomId, adopting)
  }

  /** A room that could not be made. */
  discard(room: OpenRoom): void {
    this.#rooms.delete(room.roomId)
    this.#opened.delete(room.roomId)
    this.#core.changes.delete(room.roomId)
    room[Symbol.dispose]()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const rooms = [...this.#opened.values()]
    for (const room of rooms) {
      await room.settled()
      room[Symbol.dispose]()
    }
    this.#opened.clear()
    this.#rooms.clear()
  }

  #find(roomId: string): Promise<OpenRoom | undefined> {
    const known = this.#rooms.get(roomId)
    if (known) {
      // Least used first.
      this.#rooms.delete(roomId)
      this.#rooms.set(roomId, known)
      return known
    }
    const opening = this.#open(roomId)
    this.#rooms.set(roomId, opening)
    return opening
  }

  async #open(roomId: string): Promise<OpenRoom | undefined> {
    try {
      const row = await this.#core.store.home.get(roomIndex, roomId)
      if (!row) {
        this.#rooms.delete(roomId)
        return undefined
      }
      const { version, isPublished, hadRemoteMembers } = row
      const rules = getRoomVersion(version)
      if (row.indexVersion !== INDEX_VERSION) await indexRoom(this.#core, row, rules)
      const room = await OpenRoom.open(this.#core, roomId, { rules, isPublished, hadRemoteMembers })
      this.#opened.set(roomId, room)
      this.#closeIdle()
      return room
    } catch (error) {
      this.#rooms.delete(roomId)
      throw error
    }
  }

  #closeIdle(): void {
    let surplus = this.#opened.size - MAX_IDLE
    if (surplus <= 0) return
    for (const roomId of this.#rooms.keys()) {
      if (surplus <= 0) return
      const room = this.#opened.get(roomId)
      if (!room?.isIdle || this.#wanted.has(roomId)) continue
      this.#rooms.delete(roomId)
      this.#opened.delete(roomId)
      room[Symbol.dispose]()
      surplus -= 1
    }
  }
}
