import { describe, expect, it } from 'vitest'
import { collection, type DiskStore, type Op, openStore, put, type StoreLimits } from '../../server/store/index.ts'
import { failure, SimulatedDisk } from '../support/simulated-disk.ts'

type Note = { id: string; text: string }
const notes = collection<Note>({ name: 'notes', place: 'home', key: 'id', indexes: ['text'] })
const lines = collection<{ n: number; text: string }>({
  name: 'lines',
  place: 'room',
  key: 'n',
  indexes: ['text'],
  segmented: true,
})
const note = (id: string, text = 'x'): Op => put(notes, { id, text })
const line = (n: number): Op => put(lines, { n, text: `line ${n}` }, '!r')

interface Logged {
  readonly event: string
}

function opener(disk: SimulatedDisk, logged: Logged[] = []) {
  const log = (fields: Logged): void => void logged.push(fields)
  return (limits: Partial<StoreLimits> = {}): Promise<DiskStore> =>
    openStore({ dir: '/store', disk: disk.connect(), limits, logger: { debug: log, info: log, warn: log, error: log } })
}

const journal = (number: number): string => `/store/journal/${String(number).padStart(10, '0')}.journal`

/** A journal without the zeros that it keeps for its next records. */
function trimmed(content: Buffer): Buffer {
  const end = content.findLastIndex((byte) => byte !== 0) + 1
  return content.subarray(0, end)
}

async function ids(store: DiskStore): Promise<string> {
  return (await store.home.range(notes, { index: 'id' })).map((row) => row.id).join('')
}

describe('a full disk', () => {
  it('refuses the commit, shows nothing of it, and goes on when there is room again', async () => {
    const disk = new SimulatedDisk(1)
    const open = opener(disk)
    const store = await open()
    await store.commit(() => [note('a')])
    disk.capacity = disk.usedBytes + 50
    const refused = store.commit(() => [note('b', 'y'.repeat(300_000)), note('c')])
    await expect(refused).rejects.toMatchObject({ name: 'StorageFull' })
    expect(store.position).toBe(1)
    expect(await ids(store)).toBe('a')
    disk.capacity = Number.POSITIVE_INFINITY
    expect(await store.commit(() => [note('d')])).toBe(2)
    expect(await ids(store)).toBe('ad')
    disk.powerCut()
    await using again = await open()
    expect(await ids(again)).toBe('ad')
    expect(again.position).toBe(2)
  })

  it('takes what still fits, and keeps it when there is room for more', async () => {
    const disk = new SimulatedDisk(21)
    const open = opener(disk)
    const store = await open()
    disk.capacity = disk.usedBytes + 1_000
    await store.commit(() => [note('a')])
    await store.commit(() => [note('b')])
    disk.capacity = Number.POSITIVE_INFINITY
    await store.commit(() => [note('c')])
    disk.powerCut()
    await using again = await open()
    expect(await ids(again)).toBe('abc')
  })

  it('refuses all that waits behind the one that did not fit, so that positions have no gaps', async () => {
    const disk = new SimulatedDisk(2)
    await using store = await opener(disk)()
    disk.capacity = disk.usedBytes + 100
    const results = await Promise.allSettled(
      ['a', 'b', 'c'].map((id) => store.commit(() => [note(id, id.repeat(300))])),
    )
    expect(results.map((result) => result.status)).toEqual(['rejected', 'rejected', 'rejected'])
    disk.capacity = Number.POSITIVE_INFINITY
    expect(await store.commit(() => [note('d')])).toBe(1)
  })

  it('refuses when only the sync says that there is no room', async () => {
    const disk = new SimulatedDisk(3)
    const open = opener(disk)
    const store = await open()
    await store.commit(() => [note('a')])
    let times = 1
    disk.fault = ({ kind, path }) => {
      return kind === 'sync' && path === journal(1) && times-- > 0 ? failure('ENOSPC', path) : undefined
    }
    await expect(store.commit(() => [note('b')])).rejects.toMatchObject({ name: 'StorageFull' })
    await store.commit(() => [note('c')])
    disk.powerCut()
    await using again = await open()
    expect(await ids(again)).toBe('ac')
  })

  it('refuses when there is no room for the next file of the journal, and makes it later', async () => {
    const disk = new SimulatedDisk(4)
    const open = opener(disk)
    const store = await open({ journalFileBytes: 100 })
    await store.commit(() => [note('a', 'x'.repeat(200))])
    disk.capacity = disk.usedBytes + 5
    await expect(store.commit(() => [note('b')])).rejects.toMatchObject({ name: 'StorageFull' })
    await expect(store.commit(() => [note('b')])).rejects.toMatchObject({ name: 'StorageFull' })
    disk.capacity = Number.POSITIVE_INFINITY
    await store.commit(() => [note('c')])
    disk.powerCut()
    await using again = await open()
    expect(await ids(again)).toBe('ac')
  })

  it('puts off what is done beside the requests, and loses nothing', async () => {
    const disk = new SimulatedDisk(5)
    const logged: Logged[] = []
    const open = opener(disk, logged)
    const store = await open({ segmentRows: 16 })
    for (let n = 0; n < 10; n++) await store.commit(() => [line(n)])
    disk.fault = ({ kind, path }) =>
      kind === 'write' && path.includes('/rooms/') ? failure('ENOSPC', path) : undefined
    using room = await store.openRoom('!r')
    for (let n = 10; n < 200; n++) await store.commit(() => [line(n)])
    await expect(store.checkpoint()).rejects.toMatchObject({ name: 'StorageFull' })
    expect(logged.map(({ event }) => event)).toContain('store.upkeep_postponed')
    expect(await room.count(lines)).toBe(200)
    disk.fault = () => undefined
    await store.checkpoint()
    expect(disk.files().some((file) => file.includes('/sealed-'))).toBe(true)
    expect(await room.get(lines, 3)).toEqual({ n: 3, text: 'line 3' })
    disk.powerCut()
    await using again = await open()
    using same = await again.openRoom('!r')
    expect(await same.count(lines)).toBe(200)
    expect((await same.range(lines, { index: 'n' })).map((row) => row.n)).toEqual(
      Array.from({ length: 200 }, (_, n) => n),
    )
  })
})

describe('an error of the disk', () => {
  it.each(['write', 'sync'] as const)('on %s makes the store read-only until it is started anew', async (kind) => {
    const disk = new SimulatedDisk(6)
    const open = opener(disk)
    const store = await open()
    await store.commit(() => [note('a')])
    disk.fault = (operation) =>
      operation.kind === kind && operation.path === journal(1) ? failure('EIO', 'bad') : undefined
    const both = await Promise.allSettled([store.commit(() => [note('b')]), store.commit(() => [note('c')])])
    for (const result of both) expect(result).toMatchObject({ status: 'rejected', reason: { name: 'StorageFailed' } })
    disk.fault = () => undefined
    await expect(store.commit(() => [note('d')])).rejects.toMatchObject({ name: 'StorageFailed' })
    expect(await ids(store)).toBe('a')
    expect(store.position).toBe(1)
    await store[Symbol.asyncDispose]()
    await using again = await open()
    expect((await ids(again)).startsWith('a')).toBe(true)
    await again.commit(() => [note('e')])
  })

  it('on cutting back a write that did not fit makes it read-only, too', async () => {
    const disk = new SimulatedDisk(7)
    await using store = await opener(disk)()
    disk.capacity = disk.usedBytes + 10
    disk.fault = ({ kind }) => (kind === 'truncate' ? failure('EIO', 'bad') : undefined)
    await expect(store.commit(() => [note('a', 'x'.repeat(100))])).rejects.toMatchObject({ name: 'StorageFailed' })
    disk.capacity = Number.POSITIVE_INFINITY
    disk.fault = () => undefined
    await expect(store.commit(() => [note('a')])).rejects.toMatchObject({ name: 'StorageFailed' })
  })

  it('beside the requests makes the store read-only, and what was acknowledged is there after the next start', async () => {
    const disk = new SimulatedDisk(8)
    const logged: Logged[] = []
    const open = opener(disk, logged)
    const store = await open({ segmentRows: 16 })
    using room = await store.openRoom('!r')
    disk.fault = ({ kind, path }) => (kind === 'write' && path.includes('/rooms/') ? failure('EIO', path) : undefined)
    let acknowledged = 0
    await expect(
      (async () => {
        for (let n = 0; n < 1_000; n++) {
          await store.commit(() => [line(n)])
          acknowledged++
        }
      })(),
    ).rejects.toMatchObject({ name: 'StorageFailed' })
    expect(logged.map(({ event }) => event)).toContain('store.failed')
    expect(await room.count(lines)).toBe(acknowledged)
    disk.fault = () => undefined
    disk.powerCut()
    await using again = await open()
    using same = await again.openRoom('!r')
    expect(await same.count(lines)).toBeGreaterThanOrEqual(acknowledged)
  })

  it('that made it read-only keeps a checkpoint from writing, too', async () => {
    const disk = new SimulatedDisk(18)
    const store = await opener(disk)()
    await store.commit(() => [note('a')])
    disk.fault = ({ kind }) => (kind === 'sync' ? failure('EIO', 'bad') : undefined)
    await expect(store.checkpoint()).rejects.toMatchObject({ name: 'StorageFailed' })
    const writes: string[] = []
    disk.fault = ({ kind, path }) => {
      if (kind === 'write' || kind === 'rename') writes.push(path)
      return undefined
    }
    await expect(store.checkpoint()).rejects.toMatchObject({ name: 'StorageFailed' })
    await expect(store.commit(() => [note('b')])).rejects.toMatchObject({ name: 'StorageFailed' })
    await store[Symbol.asyncDispose]()
    expect(writes).toEqual([])
  })

  it('on reading a segment is told to the reader alone', async () => {
    const disk = new SimulatedDisk(9)
    await using store = await opener(disk)({ segmentRows: 16, cacheBytes: 1 })
    using room = await store.openRoom('!r')
    for (let n = 0; n < 60; n++) await store.commit(() => [line(n)])
    await store.checkpoint()
    disk.fault = ({ kind, path }) => (kind === 'read' && path.includes('/sealed-') ? failure('EIO', path) : undefined)
    await expect(room.get(lines, 1)).rejects.toThrow(/EIO/)
    expect(await room.get(lines, 59)).toEqual({ n: 59, text: 'line 59' })
    disk.fault = () => undefined
    expect(await room.get(lines, 1)).toEqual({ n: 1, text: 'line 1' })
  })
})

describe('too many open files', () => {
  it('for the next file of the journal are no reason to refuse a commit', async () => {
    const disk = new SimulatedDisk(19)
    const open = opener(disk)
    const store = await open({ journalFileBytes: 100 })
    disk.fault = ({ kind, path }) => (kind === 'create' ? failure('EMFILE', path) : undefined)
    for (const id of ['a', 'b', 'c']) await store.commit(() => [note(id, 'x'.repeat(200))])
    disk.fault = () => undefined
    await store.commit(() => [note('d')])
    disk.powerCut()
    await using again = await open()
    expect(await ids(again)).toBe('abcd')
  })
})

describe('what a crash leaves at the end of the journal', () => {
  async function filled(seed: number): Promise<[SimulatedDisk, ReturnType<typeof opener>, Logged[]]> {
    const disk = new SimulatedDisk(seed)
    const logged: Logged[] = []
    const open = opener(disk, logged)
    const store = await open()
    for (const id of ['a', 'b', 'c']) await store.commit(() => [note(id)])
    disk.powerCut()
    return [disk, open, logged]
  }

  it.each([
    ['a cut record', (content: Buffer) => Buffer.concat([content, content.subarray(-60, -20)])],
    [
      'a cut record with zeros behind it',
      (content: Buffer) => Buffer.concat([content, content.subarray(-60, -20), Buffer.alloc(300)]),
    ],
    ['a few bytes', (content: Buffer) => Buffer.concat([content, Buffer.from([0xff, 0x48])])],
    ['noise', (content: Buffer) => Buffer.concat([content, Buffer.from('noise '.repeat(100))])],
  ])('is cut when it is %s, and the store goes on', async (_, change) => {
    const [disk, open, logged] = await filled(10)
    const before = disk.files().length
    disk.damage(journal(1), (content) => change(trimmed(content)))
    const store = await open()
    expect(await ids(store)).toBe('abc')
    expect(logged).toContainEqual(expect.objectContaining({ event: 'store.torn_tail_cut', file: journal(1) }))
    await store.commit(() => [note('d')])
    disk.powerCut()
    await using again = await open()
    expect(await ids(again)).toBe('abcd')
    expect(disk.files().length).toBe(before)
  })

  it('is cut when a later record of the same batch is whole, because nobody was told of either', async () => {
    const disk = new SimulatedDisk(11)
    const open = opener(disk)
    const store = await open()
    await store.commit(() => [note('a')])
    const start = trimmed(disk.contentOf(journal(1))).length
    await Promise.all(['b', 'c'].map((id) => store.commit(() => [note(id)])))
    disk.powerCut()
    disk.damage(journal(1), (content) => {
      content[start + 30] = 0
      return content
    })
    await using again = await open()
    expect(await ids(again)).toBe('a')
    expect(again.position).toBe(1)
  })
})

describe('damage stops the start and names the file', () => {
  async function filled(): Promise<[SimulatedDisk, ReturnType<typeof opener>]> {
    const disk = new SimulatedDisk(12)
    const open = opener(disk)
    const store = await open({ journalFileBytes: 300, segmentRows: 16 })
    for (let n = 0; n < 30; n++) await store.commit(() => [note(`n${n}`), line(n)])
    disk.powerCut()
    return [disk, open]
  }
  const flip = (content: Buffer): Buffer => {
    const middle = content.length >> 1
    content[middle] = (content[middle] as number) ^ 1
    return content
  }

  it('in the middle of an older file of the journal', async () => {
    const [disk, open] = await filled()
    disk.damage(journal(2), (content) => flip(trimmed(content)))
    await expect(open()).rejects.toThrow(/0000000002\.journal is damaged at byte/)
    await expect(open()).rejects.toMatchObject({ name: 'StoreDamaged' })
  })

  it('in the newest file of the journal, where a later batch shows that it had been acknowledged', async () => {
    const disk = new SimulatedDisk(13)
    const open = opener(disk)
    const store = await open()
    for (const id of ['a', 'b', 'c']) await store.commit(() => [note(id)])
    disk.powerCut()
    disk.damage(journal(1), (content) => flip(trimmed(content)))
    const before = disk.contentOf(journal(1))
    await expect(open()).rejects.toThrow(/0000000001\.journal is damaged at byte/)
    expect(disk.contentOf(journal(1))).toEqual(before)
  })

  it('when a file of the journal is missing', async () => {
    for (const missing of [1, 2]) {
      const [disk, open] = await filled()
      disk.delete(journal(missing))
      await expect(open()).rejects.toThrow(new RegExp(`000000000${missing}\\.journal is missing`))
    }
    const [disk, open] = await filled()
    const last = disk
      .files()
      .filter((file) => file.endsWith('.journal'))
      .sort()
      .at(-1) as string
    disk.delete(last)
    await expect(open()).rejects.toThrow(/journal is missing/)
  })

  it('when an older file of the journal was cut short', async () => {
    const [disk, open] = await filled()
    disk.damage(journal(2), (content) => content.subarray(0, trimmed(content).length >> 1))
    await expect(open()).rejects.toThrow(/journal is damaged|follows|its head/)
  })

  it.each(['live.json', 'format.json'])('when %s is missing or no JSON', async (name) => {
    const [disk, open] = await filled()
    const file = disk.files().find((path) => path.endsWith(name)) as string
    disk.damage(file, () => Buffer.from('{'))
    await expect(open()).rejects.toThrow(new RegExp(`${name} is no JSON`))
    disk.delete(file)
    await expect(open()).rejects.toThrow(new RegExp(`${name} is missing`))
  })

  it.each(['snapshot', 'delta'])("when the server's own %s is broken", async (kind) => {
    const disk = new SimulatedDisk(14)
    const open = opener(disk)
    const text = kind === 'snapshot' ? 'long '.repeat(60_000) : 'short'
    const store = await open()
    for (const id of ['a', 'b']) await store.commit(() => [note(id, text)])
    await store.checkpoint()
    disk.powerCut()
    const file = disk.files().find((path) => path.includes(`/home/${kind}-`)) as string
    disk.damage(file, flip)
    await expect(open()).rejects.toThrow(new RegExp(`home/${kind}-\\d+(-\\d+)? is damaged at byte`))
    disk.damage(file, (content) => content.subarray(0, 40))
    await expect(open()).rejects.toMatchObject({ name: 'StoreDamaged' })
  })

  it('when the end of the journal is gone that files of the server are newer than', async () => {
    const disk = new SimulatedDisk(15)
    const open = opener(disk)
    const store = await open()
    await store.commit(() => [note('a')])
    const copies = new Map(disk.files().map((file) => [file, disk.contentOf(file)]))
    await store.commit(() => [note('b')])
    await store.checkpoint()
    disk.powerCut()
    for (const [file, content] of copies) {
      const handle = await disk.connect().open(file, 'create')
      await handle.write(0, content)
    }
    await expect(open()).rejects.toThrow(/newer than the journal/)
  })

  it("in a room's files is told when the room is opened, and other rooms go on", async () => {
    const disk = new SimulatedDisk(16)
    const open = opener(disk)
    const store = await open()
    await store.commit(() => [line(1), put(lines, { n: 1, text: 'other' }, '!other')])
    await store.checkpoint()
    disk.powerCut()
    const [first] = disk.files().filter((path) => path.includes('/rooms/'))
    disk.damage(first as string, flip)
    await using again = await open()
    const opened = await Promise.allSettled([again.openRoom('!r'), again.openRoom('!other')])
    expect(opened.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
    const refused = opened.find((result) => result.status === 'rejected')
    expect(refused).toMatchObject({ reason: { name: 'StoreDamaged', message: expect.stringContaining('/rooms/') } })
  })

  it("in a room's snapshot does not keep the journal of all from getting shorter", async () => {
    const disk = new SimulatedDisk(20)
    const open = opener(disk)
    const store = await open()
    await store.commit(() => [put(lines, { n: 1, text: 'long '.repeat(60_000) }, '!r')])
    {
      using _room = await store.openRoom('!r')
      await store.checkpoint()
    }
    disk.powerCut()
    disk.damage(disk.files().find((path) => path.includes('/rooms/') && path.includes('/snapshot-')) as string, flip)
    await using again = await open()
    for (let n = 2; n < 40; n++) {
      await again.commit(() => [line(n)])
      await again.checkpoint()
    }
    expect(disk.files().filter((file) => file.endsWith('.journal'))).toHaveLength(1)
    await expect(again.openRoom('!r')).rejects.toMatchObject({ name: 'StoreDamaged' })
  })

  it('in a segment is told to who reads there', async () => {
    const disk = new SimulatedDisk(17)
    await using store = await opener(disk)({ segmentRows: 16, cacheBytes: 1 })
    using room = await store.openRoom('!r')
    for (let n = 0; n < 60; n++) await store.commit(() => [line(n)])
    await store.checkpoint()
    for (const file of disk.files()) if (file.includes('/sealed-')) disk.damage(file, flip)
    await expect(room.range(lines, { index: 'n' })).rejects.toMatchObject({ name: 'StoreDamaged' })
  })
})
