import { MatrixError } from '../../shared/matrix/errors.ts'
import { serverNameOf } from '../../shared/matrix/identifiers.ts'
import { roomStateOf } from '../protocol/auth-rules/index.ts'
import type { RoomsCore } from './core.ts'
import { DUMMY_TYPE, type KeptEvent } from './event.ts'
import type { OpenRoom } from './open-room.ts'
import type { OpenRooms } from './open-rooms.ts'
import { propose } from './propose.ts'

/** With more ends than this each further event costs a resolution of many states. */
const MAX_ENDS = 10
/** In one room no more often than this. */
const MIN_PAUSE_MS = 60_000
const MAX_REMEMBERED = 10_000
/** Users of ours who are tried, those with the most power first. */
const MAX_TRIED = 5

/**
 * Keeps the ends of rooms few in which other servers make them faster than our users' events join them: with an event that says
 * nothing, which other servers build on as on any, and clients are not shown.
 */
export class JoinEnds {
  readonly #core: RoomsCore
  readonly #rooms: OpenRooms
  readonly #unsubscribe: () => void
  /** By room: when it was done last. */
  readonly #doneTs = new Map<string, number>()
  readonly #running = new Set<Promise<void>>()

  constructor(core: RoomsCore, rooms: OpenRooms) {
    this.#core = core
    this.#rooms = rooms
    this.#unsubscribe = core.announcer.onEvent(({ roomId, event }) => {
      if (core.isLocal(event.pdu.sender)) return
      const room = rooms.findOpen(roomId)
      if (!room || room.visible.extremities.length <= MAX_ENDS || !this.#mayAgain(roomId)) return
      const running = this.#join(roomId).finally(() => this.#running.delete(running))
      this.#running.add(running)
    })
  }

  async settled(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running)
  }

  async close(): Promise<void> {
    this.#unsubscribe()
    await this.settled()
  }

  #mayAgain(roomId: string): boolean {
    const now = this.#core.environment.clock.now()
    const before = this.#doneTs.get(roomId)
    if (before !== undefined && now - before < MIN_PAUSE_MS) return false
    this.#doneTs.delete(roomId)
    this.#doneTs.set(roomId, now)
    for (const oldest of this.#doneTs.keys()) {
      if (this.#doneTs.size <= MAX_REMEMBERED) break
      this.#doneTs.delete(oldest)
    }
    return true
  }

  async #join(roomId: string): Promise<void> {
    try {
      await this.#rooms.use(roomId, async (room) => {
        const proposed = await room.enter(() => this.#propose(room))
        await proposed?.durable
      })
    } catch (error) {
      // The next event of another server leads here again.
      this.#core.environment.logger.warn({ event: 'rooms.ends.failed', roomId, error: String(error) })
    }
  }

  async #propose(room: OpenRoom): Promise<{ readonly durable: Promise<KeptEvent> } | undefined> {
    if (room.head.extremities.length <= MAX_ENDS) return undefined
    for (const sender of this.#sendersOf(room)) {
      try {
        return await propose(this.#core, room, { type: DUMMY_TYPE, sender, content: {} })
      } catch (error) {
        if (!(error instanceof MatrixError)) throw error
      }
    }
    return undefined
  }

  #sendersOf({ head, rules }: OpenRoom): readonly string[] {
    const { serverName } = this.#core.environment
    const state = roomStateOf((type, stateKey) => head.state.get(type, stateKey), rules)
    const ours = [...head.joined].filter((userId) => serverNameOf(userId) === serverName)
    const rank = new Map(ours.map((userId) => [userId, Math.min(state.power(userId), Number.MAX_SAFE_INTEGER)]))
    return ours.sort((a, b) => (rank.get(b) ?? 0) - (rank.get(a) ?? 0)).slice(0, MAX_TRIED)
  }
}
