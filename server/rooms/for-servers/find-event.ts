/** Events that a server knows by their ID alone. Spec: server-server-api §Retrieving events. */
import { notFound } from '../../../shared/matrix/errors.ts'
import type { RoomsCore } from '../core.ts'
import type { OpenRoom } from '../open-room.ts'
import type { OpenRooms } from '../open-rooms.ts'
import { roomServers } from '../store.ts'
import { findDurable, isInRoom } from './admission.ts'
import { ServerSight } from './server-sight.ts'

/** More rooms than these are not searched. */
const MAX_ROOMS = 500
/** Servers for which the room of the last event is remembered. */
const MAX_REMEMBERED = 1_000

export class EventFinder {
  readonly #core: RoomsCore
  readonly #rooms: OpenRooms
  /** By server: the room in which it found an event last. Who asks for one event asks for its neighbors, too. */
  readonly #lastRoom = new Map<string, string>()

  constructor(core: RoomsCore, rooms: OpenRooms) {
    this.#core = core
    this.#rooms = rooms
  }

  /**
   * An event of a room that the server is in, as JSON; redacted where none of its users may see it. Rejected ones, too: a
   * server may need one to know the state after it.
   * @throws MatrixError 404 M_NOT_FOUND
   */
  async find(server: string, eventId: string): Promise<string> {
    const rooms = await this.#roomsWith(server)
    const last = this.#lastRoom.get(server)
    const inMemory = (roomId: string): boolean => roomId === last || this.#rooms.findOpen(roomId) !== undefined
    for (const roomId of rooms.filter(inMemory)) {
      const found = await this.#findIn(roomId, server, eventId)
      if (found !== undefined) return found
    }
    const others = rooms.filter((roomId) => !inMemory(roomId)).slice(0, MAX_ROOMS)
    // Rooms are opened for one such search of a server at a time, whatever it asks for.
    const found = await this.#core.store.exclusive(`rooms event for ${server}`, async () => {
      for (const roomId of others) {
        const text = await this.#findIn(roomId, server, eventId)
        if (text !== undefined) return text
      }
      return undefined
    })
    if (found === undefined) throw notFound('There is no such event')
    return found
  }

  async #roomsWith(server: string): Promise<readonly string[]> {
    const range = { index: 'server', from: server, to: `${server}\u0000` } as const
    const lastChange = (roomId: string): number => this.#core.changes.get(roomId) ?? 0
    const rows = await this.#core.store.home.range(roomServers, range)
    return rows.map(({ roomId }) => roomId).sort((a, b) => lastChange(b) - lastChange(a))
  }

  async #findIn(roomId: string, server: string, eventId: string): Promise<string | undefined> {
    using held = await this.#rooms.hold(roomId)
    if (!held || !isInRoom(held.room, server)) return undefined
    const text = await this.#textIn(held.room, server, eventId)
    if (text !== undefined) this.#remember(server, roomId)
    return text
  }

  async #textIn(room: OpenRoom, server: string, eventId: string): Promise<string | undefined> {
    const event = await findDurable(room, eventId)
    return event && new ServerSight(this.#core, room, server).textOf(event)
  }

  #remember(server: string, roomId: string): void {
    this.#lastRoom.delete(server)
    this.#lastRoom.set(server, roomId)
    if (this.#lastRoom.size > MAX_REMEMBERED) this.#lastRoom.delete(this.#lastRoom.keys().next().value ?? '')
  }
}
