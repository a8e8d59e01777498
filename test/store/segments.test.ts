import { describe, expect, it } from 'vitest'
import {
  type Collection,
  collection,
  type DiskStore,
  openStore,
  orderKey,
  put,
  remove,
} from '../../server/store/index.ts'
import { seeded } from '../support/seeded.ts'
import { SimulatedDisk } from '../support/simulated-disk.ts'

type Line = { n: number; id: string; thread: string | null; text: string }
const definition = { name: 'lines', place: 'room', key: 'n', segmented: true } as const
const lines = collection<Line>({ ...definition, indexes: ['id', 'thread'] })
const line = (n: number, text = `text ${n}`): Line => ({
  n,
  id: `$${((n + 10_000) * 7_919) % 10_007}-${n}`,
  thread: n % 5 === 0 ? orderKey(`t${n % 3}`, n + 10_000) : null,
  text,
})
const limits = { segmentRows: 16, cacheBytes: 1 }

async function filled(count: number, from = 0): Promise<[SimulatedDisk, DiskStore]> {
  const disk = new SimulatedDisk(1)
  const store = await openStore({ dir: '/store', disk: disk.connect(), limits })
  const room = await store.openRoom('!r')
  for (let n = from; n < from + count; n += 20) {
    await store.commit(() =>
      Array.from({ length: Math.min(20, from + count - n) }, (_, i) => put(lines, line(n + i), '!r')),
    )
  }
  await store.checkpoint()
  room[Symbol.dispose]()
  return [disk, store]
}

/** Disk reads while the work is done. */
async function reads(disk: SimulatedDisk, work: () => Promise<unknown>): Promise<number> {
  let count = 0
  disk.fault = ({ kind }) => {
    if (kind === 'read') count++
    return undefined
  }
  await work()
  disk.fault = () => undefined
  return count
}

const sealedFiles = (disk: SimulatedDisk): readonly string[] => disk.files().filter((file) => file.includes('/sealed-'))

describe('sealed segments', () => {
  it('are read again after a restart, by key, by index and by range', async () => {
    const [disk, first] = await filled(300, -100)
    await first[Symbol.asyncDispose]()
    expect(sealedFiles(disk).length).toBeGreaterThan(18)
    await using store = await openStore({ dir: '/store', disk: disk.connect(), limits })
    using room = await store.openRoom('!r')
    for (const n of [-100, -1, 0, 77, 199]) {
      expect(await room.get(lines, n)).toEqual(line(n))
      const { id } = line(n)
      expect(await room.range(lines, { index: 'id', from: id, to: `${id}\u0000` })).toEqual([line(n)])
    }
    const all = Array.from({ length: 300 }, (_, i) => line(i - 100))
    expect(await room.range(lines, { index: 'n' })).toEqual(all)
    const inThread = all.filter((row) => row.thread?.startsWith('t1\u0000'))
    const range = { index: 'thread', from: orderKey('t1', 0), to: 't1\u0001' } as const
    expect(await room.range(lines, range)).toEqual(inThread)
    expect(await room.range(lines, { ...range, direction: 'backward', limit: 4 })).toEqual(inThread.slice(-4).reverse())
    expect(await room.count(lines, range)).toBe(inThread.length)
  })

  it('are never written again by snapshots that come later', async () => {
    const [disk, store] = await filled(200)
    const before = new Map(sealedFiles(disk).map((file) => [file, disk.contentOf(file)]))
    const written = new Set<string>()
    disk.fault = ({ kind, path }) => {
      if (kind === 'write') written.add(path)
      return undefined
    }
    using _room = await store.openRoom('!r')
    for (let n = 200; n < 400; n++) await store.commit(() => [put(lines, line(n), '!r')])
    await store.checkpoint()
    for (const [file, content] of before) {
      expect(written.has(file)).toBe(false)
      if (disk.files().includes(file)) expect(disk.contentOf(file)).toEqual(content)
    }
    await store[Symbol.asyncDispose]()
  })

  it('cost a look-up the same however long the history is', async () => {
    const costs: number[][] = []
    for (const count of [400, 3_200]) {
      const [disk, store] = await filled(count)
      using room = await store.openRoom('!r')
      const { id } = line(30)
      costs.push([
        await reads(disk, () => room.get(lines, 30)),
        await reads(disk, () => room.range(lines, { index: 'n', from: 20, to: 30 })),
        await reads(disk, () => room.range(lines, { index: 'n', direction: 'backward', limit: 10 })),
        await reads(disk, () => room.get(lines, 1_000_000)),
        await reads(disk, () => room.count(lines)),
      ])
      // An index is asked in each of its runs, whose number grows with the logarithm of the length.
      const byIndex = await reads(disk, () => room.range(lines, { index: 'id', from: id, to: `${id}\u0000` }))
      expect(byIndex).toBeLessThan(30)
      await store[Symbol.asyncDispose]()
    }
    expect(costs[1]).toEqual(costs[0])
  })

  it('leave the memory to the newest rows', async () => {
    const [disk, store] = await filled(1_000)
    using room = await store.openRoom('!r')
    expect(await reads(disk, () => room.range(lines, { index: 'n', direction: 'backward', limit: 10 }))).toBe(0)
    expect(await reads(disk, () => room.get(lines, 500))).toBeGreaterThan(0)
    await store[Symbol.asyncDispose]()
  })

  it('take in changes when there are many, and forget what was replaced', async () => {
    const [disk, store] = await filled(200)
    const edit = async (n: number): Promise<unknown> => await store.commit(() => [put(lines, line(n, 'edited'), '!r')])
    {
      using _room = await store.openRoom('!r')
      for (let n = 0; n < 100; n++) await edit(n)
      for (let n = 100; n < 120; n++) await store.commit(() => [remove(lines, n, '!r')])
      for (let n = 200; n < 300; n++) await store.commit(() => [put(lines, line(n), '!r')])
      await store.checkpoint()
    }
    await store[Symbol.asyncDispose]()
    await using again = await openStore({ dir: '/store', disk: disk.connect(), limits })
    using room = await again.openRoom('!r')
    expect(await reads(disk, () => room.get(lines, 50))).toBeGreaterThan(0)
    expect(await room.get(lines, 50)).toEqual(line(50, 'edited'))
    expect(await room.get(lines, 110)).toBeUndefined()
    expect(await room.count(lines)).toBe(280)
    expect(await room.range(lines, { index: 'id', from: line(110).id, to: `${line(110).id}\u0000` })).toEqual([])
    expect(await room.range(lines, { index: 'id', from: line(50).id, to: `${line(50).id}\u0000` })).toHaveLength(1)
  })

  it('get an index that was declared later', async () => {
    const [disk, store] = await filled(200)
    await store[Symbol.asyncDispose]()
    const more: Collection<Line> = collection<Line>({ ...definition, indexes: ['id', 'thread', 'text'] })
    for (let round = 0; round < 2; round++) {
      await using again = await openStore({ dir: '/store', disk: disk.connect(), limits })
      using room = await again.openRoom('!r')
      const range = { index: 'text', from: 'text 17', to: 'text 18' } as const
      const expected = [17, 170, 171, 172, 173, 174, 175, 176, 177, 178, 179]
      const [first, second] = await Promise.all([room.range(more, range), room.range(more, range)])
      expect(first.map((row) => row.n)).toEqual(expected)
      expect(second).toEqual(first)
      for (let n = 200; n < 260; n++) await again.commit(() => [put(more, line(n), '!r')])
      await again.checkpoint()
      expect(await room.range(more, range)).toEqual(first)
      expect(await room.count(more, { index: 'text' })).toBe(260)
    }
  })

  it('never get the name of another file that was read before', async () => {
    const definition = { name: 'pairs', place: 'room', key: 'n', segmented: true } as const
    type Pair = { n: number; up: number; down: number }
    const disk = new SimulatedDisk(4)
    const bare = collection<Pair>({ ...definition, indexes: [] })
    {
      await using store = await openStore({ dir: '/store', disk: disk.connect(), limits: { segmentRows: 16 } })
      using _room = await store.openRoom('!r')
      await store.commit(() => Array.from({ length: 200 }, (_, n) => put(bare, { n, up: n, down: -n }, '!r')))
      await store.checkpoint()
    }
    const pairs = collection<Pair>({ ...definition, indexes: ['up', 'down'] })
    await using store = await openStore({
      dir: '/store',
      disk: disk.connect(),
      limits: { segmentRows: 16, openRooms: 1 },
    })
    // The files of these indexes are kept by the next snapshot, which does not come: they are made anew each time.
    for (const index of ['up', 'down', 'up'] as const) {
      {
        using room = await store.openRoom('!r')
        const found = await room.range(pairs, { index, limit: 3 })
        expect(found.map((row) => row.n)).toEqual(index === 'up' ? [0, 1, 2] : [199, 198, 197])
      }
      using _other = await store.openRoom('!other')
    }
  })

  it('show a reader one moment, while rows are added, changed and sealed around it', async () => {
    const disk = new SimulatedDisk(3)
    const store = await openStore({ dir: '/store', disk: disk.connect(), limits: { ...limits, sliceMs: 0 } })
    const random = seeded(3)
    const marks = collection<{ id: string; n: number }>({ name: 'marks', place: 'room', key: 'id', indexes: [] })
    const room = await store.openRoom('!r')
    let next = 0
    let isDone = false
    async function write(): Promise<void> {
      for (let version = 1; version <= 400; version++) {
        // Each commit adds a line and rewrites two old ones, so that all three say the same version.
        const old = [0, 1].map(() => random.between(0, Math.max(1, next)))
        const rows = [next++, ...old].map((n) => put(lines, { ...line(n), text: String(version) }, '!r'))
        await store.commit(() => [...rows, put(marks, { id: 'count', n: next }, '!r')])
      }
      isDone = true
    }
    const writing = write()
    let looks = 0
    while (!isDone) {
      const all = await room.range(lines, { index: 'n' })
      expect(all.map((row) => row.n)).toEqual(all.map((_, i) => i))
      const newest = all.at(-1)
      const versions = all.map((row) => Number(row.text))
      // A reader that saw part of a later commit would find a version beyond the newest line's.
      expect(Math.max(0, ...versions)).toBe(newest ? Number(newest.text) : 0)
      looks++
    }
    await writing
    expect(looks).toBeGreaterThan(5)
    room[Symbol.dispose]()
    await store[Symbol.asyncDispose]()
  })
})
