/** The same story again and again, with one thing going wrong at the first call of the disk, at the second, and so on. */
import { describe, expect, it } from 'vitest'
import { type DiskStore, type Op, openStore, StorageFailed, StorageFull } from '../../server/store/index.ts'
import { seeded } from '../support/seeded.ts'
import { failure, isAfterEnd, type Operation, SimulatedDisk } from '../support/simulated-disk.ts'
import { expectSame, modelOf, RandomCommits } from './random-commits.ts'
import { isLong, tightLimits } from './rounds.ts'

const limits = { ...tightLimits(seeded(1)), journalBytes: 2_000, journalFileBytes: 500, openRooms: 1, openBytes: 1 }
const steps = 40

/** Commits and saves, whatever is refused; knows what was acknowledged. */
class Story {
  readonly disk: SimulatedDisk
  readonly refusals: unknown[] = []
  /** By position. */
  readonly kept: (readonly Op[])[] = []
  readonly #seed: number
  readonly #source: RandomCommits

  constructor(seed: number) {
    this.#seed = seed
    this.disk = new SimulatedDisk(seed)
    this.#source = new RandomCommits(seeded(seed))
  }

  async open(): Promise<DiskStore> {
    return await openStore({ dir: '/store', disk: this.disk.connect(), limits })
  }

  async go(store: DiskStore): Promise<void> {
    for (let step = 0; step < steps; step++) {
      const some = Array.from({ length: 1 + (step % 3) }, () => this.#source.next())
      const results = await Promise.allSettled(
        some.map(async (ops) => {
          this.kept[(await store.commit(() => ops)) - 1] = ops
        }),
      )
      for (const result of results) if (result.status === 'rejected') this.refusals.push(result.reason)
      if (step % 10 === 9) await store.checkpoint().catch((error: unknown) => this.refusals.push(error))
    }
  }

  async check(store: DiskStore): Promise<void> {
    await expectSame(store, await modelOf(this.kept.slice(0, store.position)), seeded(this.#seed), 'as acknowledged')
  }
}

/** How many calls the story has when nothing goes wrong. */
async function countCalls(): Promise<number> {
  const story = new Story(1)
  await using store = await story.open()
  await story.go(store)
  expect(story.refusals).toEqual([])
  return story.disk.operations
}

const calls = await countCalls()
const places = Array.from({ length: Math.floor(calls / (isLong ? 1 : 23)) }, (_, i) => 1 + i * (isLong ? 1 : 23))

/** Calls that may find the disk full. */
const growing: ReadonlySet<Operation['kind']> = new Set(['create', 'write', 'makeFolder'])

describe(`when something goes wrong at any one of ${calls} calls of the disk`, () => {
  it('a disk that is full from there on refuses, and the store goes on by itself when there is room again', async () => {
    for (const place of places) {
      const story = new Story(1)
      let call = 0
      story.disk.fault = ({ kind, path }) => {
        return ++call >= place && growing.has(kind) ? failure('ENOSPC', path) : undefined
      }
      const store = await story.open().catch(async (error: unknown) => {
        expect(error, `call ${place}`).toMatchObject({ code: 'ENOSPC' })
        story.disk.fault = () => undefined
        return await story.open()
      })
      await story.go(store)
      for (const error of story.refusals) expect(error, `call ${place}`).toBeInstanceOf(StorageFull)
      story.disk.fault = () => undefined
      const { refusals } = story
      await story.check(store)
      const before = refusals.length
      await story.go(store)
      expect(refusals.length, `call ${place}`).toBe(before)
      story.disk.powerCut()
      await using again = await story.open()
      expect(again.position).toBe(story.kept.length)
      await story.check(again)
    }
  })

  it.each(['EIO', 'ENOSPC', 'EMFILE'])(
    '%s there alone loses nothing acknowledged and shows nothing refused',
    async (code) => {
      for (const place of places) {
        const why = `call ${place}`
        const story = new Story(2)
        let call = 0
        story.disk.fault = ({ path }) => (++call === place ? failure(code, path) : undefined)
        const store = await story.open().catch(async (error: unknown) => {
          expect(String(error), why).toMatch(/StorageFailed|EIO|ENOSPC|EMFILE/)
          return await story.open()
        })
        await story.go(store)
        for (const error of story.refusals) {
          expect(
            error instanceof StorageFailed || error instanceof StorageFull || String(error).includes(code),
            why,
          ).toBe(true)
        }
        story.disk.fault = () => undefined
        expect(store.position, why).toBe(story.kept.length)
        await story.check(store)
        story.disk.powerCut()
        await using again = await story.open()
        expect(again.position, why).toBe(story.kept.length)
        await story.check(again)
      }
    },
  )

  it('a process that is killed there, and a power cut after the next start, lose nothing that anybody was shown', async () => {
    for (const place of places) {
      const why = `call ${place}`
      const story = new Story(3)
      story.disk.killAt = place
      try {
        await story.go(await story.open())
      } catch (error) {
        if (!isAfterEnd(error)) throw new Error(why, { cause: error })
      }
      story.disk.kill()
      const next = await story.open()
      expect(next.position, why).toBeGreaterThanOrEqual(story.kept.length)
      const { position } = next
      await next.checkpoint()
      story.disk.powerCut()
      await using again = await story.open()
      expect(again.position, why).toBe(position)
      if (position === story.kept.length) await story.check(again)
    }
  })
})
