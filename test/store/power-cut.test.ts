import { afterAll, describe, expect, it } from 'vitest'
import { type Op, openStore } from '../../server/store/index.ts'
import { type Seeded, seeded } from '../support/seeded.ts'
import { isAfterEnd, SimulatedDisk } from '../support/simulated-disk.ts'
import { expectSame, modelOf, RandomCommits } from './random-commits.ts'
import { rounds, tightLimits } from './rounds.ts'

const totals = { cuts: 0, kills: 0, acknowledged: 0 }

/** Lives that end in the middle: what was acknowledged, or shown to a reader, is there in the next one. */
class Lives {
  readonly #seed: number
  readonly #random: Seeded
  readonly #disk: SimulatedDisk
  readonly #source: RandomCommits
  /** By position; those that nobody has seen may be there or not. */
  #commits: (readonly Op[])[] = []
  #seen = 0

  constructor(seed: number) {
    this.#seed = seed
    this.#random = seeded(seed)
    this.#disk = new SimulatedDisk(seed)
    this.#source = new RandomCommits(this.#random)
  }

  /** @param ending how it ends: the power is cut, or the process is killed with its writes in the system's memory */
  async live(ending: 'cut' | 'kill'): Promise<void> {
    const random = this.#random
    const at = this.#disk.operations + random.between(1, random.pick([10, 100, 1_000]))
    if (ending === 'cut') this.#disk.cutAt = at
    else this.#disk.killAt = at
    totals[`${ending}s`]++
    try {
      const store = await openStore({ dir: '/store', disk: this.#disk.connect(), limits: tightLimits(random) })
      expect(store.position, `seed ${this.#seed}`).toBeGreaterThanOrEqual(this.#seen)
      this.#commits = this.#commits.slice(0, store.position)
      this.#seen = store.position
      for (;;) {
        const some = Array.from({ length: random.pick([1, 1, 8]) }, () => this.#source.next())
        this.#commits.push(...some)
        await Promise.all(some.map((ops) => store.commit(() => ops).then((position) => this.#acknowledge(position))))
        if (random.chance(0.05)) await store.checkpoint()
      }
    } catch (error) {
      if (!isAfterEnd(error)) throw new Error(`seed ${this.#seed}`, { cause: error })
    }
  }

  async check(): Promise<void> {
    const why = `seed ${this.#seed}`
    await using store = await openStore({
      dir: '/store',
      disk: this.#disk.connect(),
      limits: tightLimits(this.#random),
    })
    expect(store.position, why).toBeGreaterThanOrEqual(this.#seen)
    await expectSame(store, await modelOf(this.#commits.slice(0, store.position)), this.#random, why)
  }

  #acknowledge(position: number): void {
    totals.acknowledged++
    this.#seen = Math.max(this.#seen, position)
  }
}

describe('the store has every acknowledged commit, and none by half', () => {
  afterAll(() => {
    const { cuts, kills, acknowledged } = totals
    process.stdout.write(`${cuts} power cuts, ${kills} kills, ${acknowledged} acknowledged commits\n`)
  })

  it.each(rounds({ short: 20, long: 200 }))('after power cuts, seed %i', async (seed) => {
    const lives = new Lives(seed)
    for (let life = 0; life < 12; life++) await lives.live('cut')
    await lives.check()
  })

  it.each(rounds({ short: 20, long: 200 }))('after kills and power cuts, seed %i', async (seed) => {
    const random = seeded(seed + 10_000)
    const lives = new Lives(seed + 10_000)
    for (let life = 0; life < 16; life++) await lives.live(random.chance(0.6) ? 'kill' : 'cut')
    await lives.check()
  })
})
