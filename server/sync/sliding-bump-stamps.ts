/**
 * `bump_stamp`: by when something last happened in a room that people would call activity. Spec: MSC4186 §RoomResult.
 */
import type { RoomView } from '../rooms/index.ts'
import { LeastRecentlyUsed } from './least-recently-used.ts'

const TYPES: ReadonlySet<string> = new Set([
  'm.room.create',
  'm.room.message',
  'm.room.encrypted',
  'm.sticker',
  'm.call.invite',
  'm.poll.start',
  'org.matrix.msc3381.poll.start',
  'm.beacon_info',
  'org.matrix.msc3672.beacon_info',
])

const MAX_ROOMS = 20_000
/** So many of the newest events are looked at; where none of them is activity, the oldest of them counts. */
const MAX_LOOKED_AT = 200
const PER_READ = 20

interface Remembered {
  readonly latestOrder: number
  readonly stamp: number
}

export class BumpStamps {
  readonly #byRoom = new LeastRecentlyUsed<string, Remembered>(MAX_ROOMS)

  /** @returns a stream position */
  async of(view: RoomView): Promise<number> {
    const { roomId, latestOrder } = view
    const before = this.#byRoom.get(roomId)
    if (before && before.latestOrder >= latestOrder) return before.stamp
    const stamp = await this.#find(view, before)
    this.#byRoom.set(roomId, { latestOrder, stamp })
    return stamp
  }

  async #find(view: RoomView, before: Remembered | undefined): Promise<number> {
    const from = before ? before.latestOrder + 1 : view.earliestOrder
    let to = view.latestOrder + 1
    let oldest = 0
    for (let lookedAt = 0; to > from && lookedAt < MAX_LOOKED_AT; lookedAt += PER_READ) {
      const events = await view.timeline({ from, to, limit: PER_READ, direction: 'backward' })
      const bump = events.find(({ pdu }) => TYPES.has(pdu.type))
      if (bump) return bump.position
      const last = events.at(-1)
      if (!last) break
      oldest = last.position
      to = last.order ?? from
    }
    return before && to <= from ? before.stamp : Math.max(oldest, before?.stamp ?? 0)
  }
}
