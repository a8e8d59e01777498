import { describe, expect, it } from 'vitest'
import { collection, type DiskStore, type Op, openStore, put } from '../../server/store/index.ts'
import { type Seeded, seeded } from '../support/seeded.ts'
import { SimulatedDisk } from '../support/simulated-disk.ts'
import { rounds, tightLimits } from './rounds.ts'

type Line = { n: number; life: number; text: string }
const lines = collection<Line>({ name: 'lines', place: 'room', key: 'n', indexes: ['life', 'text'], segmented: true })
const roomIds = ['!a', '!b', '!c', '!d'] as const

/** A room's life lasts until the room ends; its lines are 0, 1, 2, … */
interface Told {
  readonly life: number
  readonly lines: number
}

class Household {
  readonly told = new Map<string, Told>(roomIds.map((id) => [id, { life: 0, lines: 0 }]))
  isDone = false
  readonly #store: DiskStore
  readonly #random: Seeded
  readonly #why: string

  constructor(store: DiskStore, random: Seeded, why: string) {
    this.#store = store
    this.#random = random
    this.#why = why
  }

  async write(roomId: string, commits: number): Promise<void> {
    const random = this.#random
    for (let i = 0; i < commits; i++) {
      const { life, lines: count } = this.told.get(roomId) as Told
      if (random.chance(0.01)) {
        await this.#store.commit(() => [{ op: 'dropRoom', roomId }])
        this.told.set(roomId, { life: life + 1, lines: 0 })
        continue
      }
      const more = random.between(1, 6)
      const ops: Op[] = Array.from({ length: more }, (_, k) => this.#line(roomId, count + k))
      if (count > 0) ops.push(this.#line(roomId, random.between(0, count)))
      await this.#store.commit(() => ops)
      this.told.set(roomId, { life, lines: count + more })
      if (random.chance(0.02)) await this.#store.checkpoint()
    }
  }

  #line(roomId: string, n: number): Op {
    const { life } = this.told.get(roomId) as Told
    return put(lines, { n, life, text: `${this.#random.pick(['x', 'y'])}${n}` }, roomId)
  }

  async read(): Promise<number> {
    let looks = 0
    for (; !this.isDone; looks++) {
      const roomId = this.#random.pick(roomIds)
      using room = await this.#store.openRoom(roomId)
      for (let i = this.#random.between(0, 4); i > 0; i--) await this.#look(roomId, room)
      // The simulated disk never leaves the turn; what rests for a turn would not come to its own.
      await new Promise((resolve) => setImmediate(resolve))
    }
    return looks
  }

  /** What one look shows is one moment of the room, and no earlier one than what was told before. */
  async #look(roomId: string, room: Awaited<ReturnType<DiskStore['openRoom']>>): Promise<void> {
    const before = this.told.get(roomId) as Told
    const index = this.#random.pick(['n', 'life', 'text'])
    const found = [...(await room.range(lines, { index }))].sort((a, b) => a.n - b.n)
    const life = found[0]?.life ?? before.life
    expect(
      found.map((row) => row.n),
      this.#why,
    ).toEqual(found.map((_, n) => n))
    expect(new Set(found.map((row) => row.life)).size, this.#why).toBeLessThan(2)
    if (found.length > 0) expect(life, this.#why).toBeGreaterThanOrEqual(before.life)
    const hasEnded = (this.told.get(roomId) as Told).life > before.life || life > before.life
    // The end may be visible a moment before it was told.
    if (!hasEnded && found.length > 0) expect(found.length, this.#why).toBeGreaterThanOrEqual(before.lines)
  }
}

describe('rooms that open and close while others write, end them, and save', () => {
  it.each(rounds({ short: 4, long: 60 }))('show one moment each, and lose nothing, seed %i', async (seed) => {
    const random = seeded(seed)
    const disk = new SimulatedDisk(seed)
    const limits = tightLimits(random)
    {
      await using store = await openStore({ dir: '/store', disk: disk.connect(), limits })
      const household = new Household(store, random, `seed ${seed}`)
      const readers = [household.read(), household.read(), household.read()]
      try {
        await Promise.all(roomIds.map((id) => household.write(id, 80)))
      } finally {
        household.isDone = true
      }
      await Promise.all(readers)
      for (const [roomId, told] of household.told) {
        using room = await store.openRoom(roomId)
        expect(await room.count(lines), `seed ${seed}`).toBe(told.lines)
      }
      disk.powerCut()
      await using again = await openStore({ dir: '/store', disk: disk.connect(), limits })
      for (const [roomId, told] of household.told) {
        using room = await again.openRoom(roomId)
        expect(await room.count(lines), `seed ${seed}`).toBe(told.lines)
        expect((await room.range(lines, { index: 'life' })).length, `seed ${seed}`).toBe(told.lines)
      }
    }
  })
})
