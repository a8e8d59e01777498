import { describe, expect, it } from 'vitest'
import { collection, type DiskStore, openStore, put, type StoreLimits } from '../../server/store/index.ts'
import { SimulatedDisk } from '../support/simulated-disk.ts'

const members = collection<{ id: string; text: string }>({
  name: 'members',
  place: 'room',
  key: 'id',
  indexes: ['text'],
})
const row = (id: string) => ({ id, text: 'x'.repeat(1_000) })

async function filled(limits: Partial<StoreLimits>): Promise<[SimulatedDisk, DiskStore]> {
  const disk = new SimulatedDisk(1)
  const store = await openStore({ dir: '/store', disk: disk.connect(), limits })
  for (let i = 0; i < 6; i++)
    await store.commit(() => [put(members, row('a'), `!${i}`), put(members, row('b'), `!${i}`)])
  await store.checkpoint()
  return [disk, store]
}

/** How many rooms' files are read while the work is done. */
async function roomReads(disk: SimulatedDisk, work: () => Promise<void>): Promise<number> {
  const files = new Set<string>()
  disk.fault = ({ kind, path }) => {
    if (kind === 'open' && path.includes('/rooms/')) files.add(path)
    return undefined
  }
  await work()
  disk.fault = () => undefined
  return files.size
}

async function visit(store: DiskStore, roomId: string): Promise<void> {
  using room = await store.openRoom(roomId)
  expect(await room.count(members)).toBe(2)
}

describe('leases of rooms', () => {
  it('ask the disk for no more than the files of a room have', async () => {
    const [disk, first] = await filled({})
    await first[Symbol.asyncDispose]()
    const asked = new Map<string, number>()
    const real = disk.connect()
    const watched: typeof real = {
      ...real,
      async open(path, mode) {
        const file = await real.open(path, mode)
        if (mode !== 'read' || !path.includes('/rooms/')) return file
        return {
          ...file,
          read(offset, length) {
            asked.set(path, (asked.get(path) ?? 0) + length)
            return file.read(offset, length)
          },
        }
      },
    }
    await using store = await openStore({ dir: '/store', disk: watched })
    for (let i = 0; i < 6; i++) await visit(store, `!${i}`)
    expect(asked.size).toBe(6)
    for (const [path, bytes] of asked) expect(bytes).toBe(disk.contentOf(path).length)
  })

  it('open a room once, and keep it at hand afterwards', async () => {
    const [disk, store] = await filled({ openRooms: 3 })
    expect(await roomReads(disk, async () => void (await Promise.all([1, 2, 3].map(() => visit(store, '!1')))))).toBe(1)
    expect(await roomReads(disk, () => visit(store, '!1'))).toBe(0)
    await store[Symbol.asyncDispose]()
  })

  it('close the room that was not used for longest when there are too many', async () => {
    const [disk, store] = await filled({ openRooms: 2 })
    for (const roomId of ['!1', '!2', '!1', '!3']) await visit(store, roomId)
    expect(await roomReads(disk, () => visit(store, '!1'))).toBe(0)
    expect(await roomReads(disk, () => visit(store, '!2'))).toBe(1)
    await store[Symbol.asyncDispose]()
  })

  it('close rooms when they are too large together', async () => {
    const [disk, store] = await filled({ openBytes: 5_000 })
    await visit(store, '!1')
    await visit(store, '!2')
    expect(await roomReads(disk, () => visit(store, '!1'))).toBe(0)
    await visit(store, '!3')
    expect(await roomReads(disk, () => visit(store, '!2'))).toBe(1)
    await store[Symbol.asyncDispose]()
  })

  it('hold a room open however many others are used', async () => {
    const [disk, store] = await filled({ openRooms: 1, openBytes: 1 })
    const room = await store.openRoom('!0')
    const reads = await roomReads(disk, async () => {
      for (const roomId of ['!1', '!2', '!3']) await visit(store, roomId)
      expect(await room.get(members, 'a')).toEqual(row('a'))
    })
    expect(reads).toBe(3)
    room[Symbol.dispose]()
    await visit(store, '!1')
    expect(await roomReads(disk, () => visit(store, '!0'))).toBe(1)
    await store[Symbol.asyncDispose]()
  })

  it('are not needed for a commit, which reads nothing of the room', async () => {
    const [disk, store] = await filled({ openRooms: 1 })
    const reads = await roomReads(disk, async () => {
      for (let i = 0; i < 50; i++) await store.commit(() => [put(members, row('b'), '!4')])
    })
    expect(reads).toBe(0)
    await visit(store, '!4')
    await store[Symbol.asyncDispose]()
  })

  it('see what is committed while the room is being opened', async () => {
    const [, store] = await filled({ openRooms: 1 })
    for (let i = 0; i < 30; i++) {
      const opening = store.openRoom(`!${i % 6}`)
      const committed = store.commit(() => [put(members, row(`c${i}`), `!${i % 6}`)])
      using room = await opening
      await committed
      expect(await room.get(members, `c${i}`)).toEqual(row(`c${i}`))
    }
    await store[Symbol.asyncDispose]()
  })

  it('are not needed at the start, which reads no room', async () => {
    const [disk, store] = await filled({})
    await store.commit(() => [put(members, row('late'), '!5')])
    disk.powerCut()
    let again: DiskStore | undefined
    const reads = await roomReads(disk, async () => {
      again = await openStore({ dir: '/store', disk: disk.connect() })
    })
    expect(reads).toBe(0)
    using room = await (again as DiskStore).openRoom('!5')
    expect(await room.count(members)).toBe(3)
    await again?.[Symbol.asyncDispose]()
  })

  it('are not needed to save a room, which is closed again where it had to be opened for that', async () => {
    const [disk, store] = await filled({ openRooms: 1 })
    // A room gets a delta with each of these, and a snapshot when there are many.
    let isSnapshot = false
    disk.fault = ({ kind, path }) => {
      isSnapshot ||= kind === 'rename' && path.includes('/snapshot-')
      return undefined
    }
    for (let i = 0; !isSnapshot && i < 50; i++) {
      await store.commit(() => [put(members, row('b'), '!4')])
      await store.checkpoint()
    }
    expect(isSnapshot).toBe(true)
    expect(await roomReads(disk, () => visit(store, '!4'))).toBe(1)
    await store[Symbol.asyncDispose]()
  })

  it('of a room that ended leave none of its files', async () => {
    const [disk, store] = await filled({})
    const before = disk.files().filter((file) => file.includes('/rooms/')).length
    await store.commit(() => [{ op: 'dropRoom', roomId: '!3' }])
    await store.checkpoint()
    expect(disk.files().filter((file) => file.includes('/rooms/')).length).toBe(before - 1)
    await store[Symbol.asyncDispose]()
  })
})

describe('a clean stop', () => {
  it('leaves an empty journal, so that the next start is quick', async () => {
    const disk = new SimulatedDisk(2)
    const store = await openStore({ dir: '/store', disk: disk.connect() })
    for (let i = 0; i < 100; i++) await store.commit(() => [put(members, row('a'), `!${i % 4}`)])
    await store[Symbol.asyncDispose]()
    const journals = disk.files().filter((file) => file.endsWith('.journal'))
    expect(journals).toHaveLength(1)
    const file = await disk.connect().open(journals[0] as string, 'read')
    expect(await file.size()).toBeLessThan(100)
    await using again = await openStore({ dir: '/store', disk: disk.connect() })
    expect(again.position).toBe(100)
    expect(await again.commit(() => [])).toBe(101)
  })

  it('waits for commits under way', async () => {
    const disk = new SimulatedDisk(3)
    const store = await openStore({ dir: '/store', disk: disk.connect() })
    const commits = Array.from({ length: 20 }, (_, i) => store.commit(() => [put(members, row(`m${i}`), '!r')]))
    await store[Symbol.asyncDispose]()
    expect(await Promise.all(commits)).toHaveLength(20)
    await using again = await openStore({ dir: '/store', disk: disk.connect() })
    using room = await again.openRoom('!r')
    expect(await room.count(members)).toBe(20)
  })

  it('leaves in the journal what would take too long, and loses nothing', async () => {
    const disk = new SimulatedDisk(4)
    const store = await openStore({ dir: '/store', disk: disk.connect(), limits: { stopMs: -1 } })
    await store.commit(() => [put(members, row('a'), '!r')])
    await store[Symbol.asyncDispose]()
    expect(disk.files().some((file) => file.includes('/rooms/'))).toBe(false)
    await using again = await openStore({ dir: '/store', disk: disk.connect() })
    using room = await again.openRoom('!r')
    expect(await room.count(members)).toBe(1)
  })
})
