import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { describe, it } from 'vitest'
import { type Disk, nodeDisk, type Op, openStore } from '../../server/store/index.ts'
import { seeded } from '../support/seeded.ts'
import { SimulatedDisk } from '../support/simulated-disk.ts'
import { expectSame, modelOf, RandomCommits } from './random-commits.ts'
import { rounds, tightLimits } from './rounds.ts'

async function doesAsTheModel(seed: number, { dir, disk }: { dir: string; disk: Disk }): Promise<void> {
  const random = seeded(seed)
  const commits: (readonly Op[])[] = []
  const source = new RandomCommits(random)
  for (let life = 0; life < 4; life++) {
    await using store = await openStore({ dir, disk, limits: tightLimits(random) })
    for (let i = random.between(20, 120); i > 0; i--) {
      const some = Array.from({ length: random.pick([1, 1, 4]) }, () => source.next())
      commits.push(...some)
      await Promise.all(some.map((ops) => store.commit(() => ops)))
      if (random.chance(0.03)) await store.checkpoint()
      if (random.chance(0.05)) await expectSame(store, await modelOf(commits), random, `seed ${seed}, life ${life}`)
    }
    await expectSame(store, await modelOf(commits), random, `seed ${seed}, end of life ${life}`)
  }
}

describe('the store does what the model in memory does', () => {
  it.each(rounds({ short: 15, long: 200 }))(
    'through random commits, checkpoints and restarts, seed %i',
    async (seed) => {
      await doesAsTheModel(seed, { dir: '/store', disk: new SimulatedDisk(seed).connect() })
    },
  )

  it('on the real disk as well', async () => {
    const dir = await mkdtemp(path.join(tmpdir(), 'hearth-store-'))
    await doesAsTheModel(1_000, { dir, disk: nodeDisk() })
    await rm(dir, { recursive: true })
  })
})
