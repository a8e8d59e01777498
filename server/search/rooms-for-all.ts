import type { Rooms } from '../rooms/index.ts'

/**
 * Which of the rooms that this server knows anybody may join or read. A room is looked into again only after something happened
 * there, so that a search opens hardly any. Spec: client-server-api §User Directory.
 */
export class RoomsForAll {
  readonly #rooms: Pick<Rooms, 'open' | 'lastChange'>
  readonly #known = new Map<string, { readonly change: number; readonly isForAll: boolean }>()

  constructor(rooms: Pick<Rooms, 'open' | 'lastChange'>) {
    this.#rooms = rooms
  }

  /** @throws MatrixError 404 M_NOT_FOUND for a room that this server does not know */
  async has(roomId: string): Promise<boolean> {
    // Asked for first: what happens meanwhile makes the next question look again.
    const change = this.#rooms.lastChange(roomId)
    const known = this.#known.get(roomId)
    if (known?.change === change) return known.isForAll
    using view = await this.#rooms.open(roomId)
    const setting = (type: string, key: string): unknown => view.state.get(type)?.pdu.content[key]
    const isForAll =
      setting('m.room.join_rules', 'join_rule') === 'public' ||
      setting('m.room.history_visibility', 'history_visibility') === 'world_readable'
    this.#known.set(roomId, { change, isForAll })
    return isForAll
  }
}
