import { describe, expect, it } from 'vitest'
import { collection, type DiskStore, openStore, put, remove, StorageFull } from '../../server/store/index.ts'
import { seeded } from '../support/seeded.ts'
import { failure, SimulatedDisk } from '../support/simulated-disk.ts'

type Line = { n: number; id: string; text: string }
const lines = collection<Line>({ name: 'lines', place: 'room', key: 'n', indexes: ['id'], segmented: true })
const notes = collection<{ id: string; text: string }>({ name: 'notes', place: 'home', key: 'id', indexes: [] })
const topics = collection<{ id: string; text: string }>({ name: 'topics', place: 'room', key: 'id', indexes: [] })
const line = (n: number, text = `text ${n}`): Line => ({ n, id: `$${n}`, text })
const limits = { segmentRows: 16, cacheBytes: 1 }

async function filled(rooms: readonly string[] = ['!r'], count = 200): Promise<[SimulatedDisk, DiskStore]> {
  const disk = new SimulatedDisk(1)
  const store = await openStore({ dir: '/store', disk: disk.connect(), limits })
  for (const roomId of rooms) {
    using _room = await store.openRoom(roomId)
    for (let n = 0; n < count; n += 20) {
      await store.commit(() => Array.from({ length: 20 }, (_, i) => put(lines, line(n + i), roomId)))
    }
  }
  await store.checkpoint()
  return [disk, store]
}

const holding = (disk: SimulatedDisk, text: string): readonly string[] =>
  disk.files().filter((file) => disk.contentOf(file).includes(text))

async function texts(store: DiskStore, roomId: string): Promise<readonly string[]> {
  using room = await store.openRoom(roomId)
  return (await room.range(lines, { index: 'n' })).map(({ text }) => text)
}

describe('store contract: scrub', () => {
  it('leaves nothing on the disk of a sealed row that was replaced or removed', async () => {
    const [disk, store] = await filled()
    await store.commit(() => [put(lines, line(30, 'gone'), '!r'), remove(lines, 31, '!r')])
    await store.checkpoint()
    expect(holding(disk, 'text 30"').length).toBeGreaterThan(0)
    expect(holding(disk, 'text 31"').length).toBeGreaterThan(0)
    expect(await store.scrub(['!r'])).toEqual(new Set(['!r']))
    expect(holding(disk, 'text 30"')).toEqual([])
    expect(holding(disk, 'text 31"')).toEqual([])
    const wanted = Array.from({ length: 200 }, (_, n) => (n === 30 ? 'gone' : `text ${n}`)).filter((_, n) => n !== 31)
    expect(await texts(store, '!r')).toEqual(wanted)
    await store[Symbol.asyncDispose]()
    await using again = await openStore({ dir: '/store', disk: disk.connect(), limits })
    expect(await texts(again, '!r')).toEqual(wanted)
  })

  it('reaches snapshots, deltas, the journal and rows of the server itself', async () => {
    const [disk, store] = await filled(['!r', '!other'])
    using _room = await store.openRoom('!r')
    for (const text of ['first secret', 'second secret']) {
      await store.commit(() => [
        put(notes, { id: 'a', text }),
        put(topics, { id: 't', text }, '!r'),
        put(lines, line(199, text), '!r'),
        put(topics, { id: 't', text: 'of another room' }, '!other'),
      ])
      if (text === 'first secret') await store.checkpoint()
    }
    await store.commit(() => [
      put(notes, { id: 'a', text: 'x' }),
      put(topics, { id: 't', text: 'x' }, '!r'),
      put(lines, line(199, 'x'), '!r'),
    ])
    expect(holding(disk, 'secret').length).toBeGreaterThan(1)
    await store.scrub(['!r'])
    expect(holding(disk, 'secret')).toEqual([])
    await store[Symbol.asyncDispose]()
    await using again = await openStore({ dir: '/store', disk: disk.connect(), limits })
    using room = await again.openRoom('!r')
    using other = await again.openRoom('!other')
    expect(await room.get(topics, 't')).toEqual({ id: 't', text: 'x' })
    expect(await other.get(topics, 't')).toEqual({ id: 't', text: 'of another room' })
    expect(await again.home.get(notes, 'a')).toEqual({ id: 'a', text: 'x' })
  })

  it('works on a room that nobody has opened since the start, and touches no segment without a change', async () => {
    const [disk, first] = await filled()
    await first.commit(() => [put(lines, line(5, 'gone'), '!r')])
    await first[Symbol.asyncDispose]()
    await using store = await openStore({ dir: '/store', disk: disk.connect(), limits })
    const before = new Map(disk.files().map((file) => [file, disk.contentOf(file)]))
    expect(await store.scrub(['!r', '!never-heard-of'])).toEqual(new Set(['!r', '!never-heard-of']))
    expect(holding(disk, 'text 5"')).toEqual([])
    const untouched = [...before].filter(
      ([file, content]) => file.includes('/sealed-') && content.includes('"text 100"'),
    )
    expect(untouched.length).toBeGreaterThan(0)
    for (const [file, content] of untouched) expect(disk.contentOf(file)).toEqual(content)
    expect((await texts(store, '!r'))[5]).toBe('gone')
  })

  it('does not disturb who reads and writes meanwhile', async () => {
    const [disk, store] = await filled()
    const random = seeded(7)
    using room = await store.openRoom('!r')
    const told = Array.from({ length: 200 }, (_, n) => `text ${n}`)
    const changing = (async () => {
      for (let i = 0; i < 150; i++) {
        const n = random.between(0, told.length)
        told[n] = `change ${i}`
        await store.commit(() => [put(lines, line(n, `change ${i}`), '!r')])
        const [row] = await room.range(lines, { index: 'id', from: `$${n}`, to: `$${n}\u0000` })
        expect(row?.text).toBe(told[n])
        if (i % 10 === 0) await new Promise((resolve) => setImmediate(resolve))
      }
    })()
    for (let i = 0; i < 10; i++) await store.scrub(['!r'])
    await changing
    expect((await room.range(lines, { index: 'n' })).map(({ text }) => text)).toEqual(told)
    await store.scrub(['!r'])
    for (const [n, text] of told.entries())
      if (text.startsWith('change')) expect(holding(disk, `"text ${n}"`)).toEqual([])
    await store[Symbol.asyncDispose]()
  })

  it('loses nothing on a full disk, and does it when there is room again', async () => {
    const [disk, store] = await filled()
    await store.commit(() => [put(lines, line(30, 'gone'), '!r')])
    disk.fault = ({ kind, path }) => (kind === 'write' ? failure('ENOSPC', path) : undefined)
    await expect(store.scrub(['!r'])).rejects.toThrow(StorageFull)
    disk.fault = () => undefined
    expect((await texts(store, '!r'))[30]).toBe('gone')
    await store.scrub(['!r'])
    expect(holding(disk, 'text 30"')).toEqual([])
    await store[Symbol.asyncDispose]()
  })
})
