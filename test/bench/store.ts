/**
 * The store under load: `node test/bench/store.ts [events] [rooms]` (a million in 500 by default).
 *
 * 1. CPU and time per operation on a fresh store.
 * 2. A large store is made; then another process opens it, uses ten rooms, and says how long that took and what it holds;
 *    once more after what a crash leaves in the journal.
 */
import { spawnSync } from 'node:child_process'
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { collection, type DiskStore, openStore, orderKey, put, type Row } from '../../server/store/index.ts'

type TimelineRow = { n: number; eventId: string; relatesTo: string | null; json: string }
type MemberRow = { userId: string; membership: string; json: string }
type RoomRow = { roomId: string; version: string; position: number }

const timeline = collection<TimelineRow>({
  name: 'timeline',
  place: 'room',
  key: 'n',
  indexes: ['eventId', 'relatesTo'],
  segmented: true,
})
const members = collection<MemberRow>({ name: 'members', place: 'room', key: 'userId', indexes: ['membership'] })
const rooms = collection<RoomRow>({ name: 'rooms', place: 'home', key: 'roomId', indexes: ['position'] })
const people = collection<{ id: string; at: number; text: string }>({
  name: 'people',
  place: 'home',
  key: 'id',
  indexes: ['at'],
})

const eventId = (roomId: string, n: number): string =>
  `$${Buffer.from(`${roomId}:${n}:`.repeat(4)).toString('base64url').slice(0, 43)}`
const roomIdOf = (i: number): string => `!room${i}:bench.test`

function eventRow(roomId: string, n: number): TimelineRow {
  const json = JSON.stringify({
    type: 'm.room.message',
    room_id: roomId,
    sender: `@user${n % 50}:bench.test`,
    origin_server_ts: 1_700_000_000_000 + n,
    content: { msgtype: 'm.text', body: `message ${n} `.repeat(8) },
    auth_events: [eventId(roomId, 1), eventId(roomId, 2), eventId(roomId, 3)],
    prev_events: [eventId(roomId, n - 1)],
    depth: n,
    hashes: { sha256: 'x'.repeat(43) },
    signatures: { 'bench.test': { 'ed25519:1': 'y'.repeat(86) } },
  })
  return { n, eventId: eventId(roomId, n), relatesTo: n % 10 === 0 ? orderKey(eventId(roomId, n - 5), n) : null, json }
}

interface Cost {
  readonly what: string
  readonly cpu: string
  readonly wall: string
}

/** Measures `count` operations, and prints microseconds for one. */
async function measure(what: string, count: number, work: (count: number) => Promise<unknown>): Promise<Cost> {
  const cpu = process.cpuUsage()
  const began = performance.now()
  await work(count)
  const wall = ((performance.now() - began) * 1_000) / count
  const { user, system } = process.cpuUsage(cpu)
  return { what, cpu: `${((user + system) / count).toFixed(1)} µs`, wall: `${wall.toFixed(1)} µs` }
}

async function operations(dir: string): Promise<readonly Cost[]> {
  await using store = await openStore({ dir })
  const costs: Cost[] = []
  const roomId = roomIdOf(0)
  using room = await store.openRoom(roomId)
  let n = 0
  const send = (): Promise<number> => {
    const mine = ++n
    return store.commit((position) => [
      put(timeline, eventRow(roomId, mine), roomId),
      put(rooms, { roomId, version: '11', position }),
      put(people, { id: `u${mine % 5_000}`, at: position, text: 'x'.repeat(100) }),
    ])
  }
  await room.range(timeline, { index: 'eventId', limit: 1 })
  await store.home.range(people, { index: 'at', limit: 1 })
  const sends = async (count: number, writers: number): Promise<void> => {
    await Promise.all(
      Array.from({ length: writers }, async () => {
        for (let i = 0; i < count / writers; i++) await send()
      }),
    )
  }
  await sends(2_000, 16)
  for (const writers of [1, 16, 128]) {
    costs.push(await measure(`commit of 3 rows, ${writers} at a time`, 4_096, (count) => sends(count, writers)))
  }
  const loop = (work: (i: number) => Promise<unknown>) => async (count: number) => {
    for (let i = 0; i < count; i++) await work(i)
  }
  costs.push(
    await measure(
      'get',
      50_000,
      loop((i) => store.home.get(people, `u${i % 5_000}`)),
    ),
  )
  costs.push(
    await measure(
      'range of 20 by index',
      10_000,
      loop((i) => store.home.range(people, { index: 'at', from: n - i, limit: 20 })),
    ),
  )
  costs.push(
    await measure(
      'newest 20 of the timeline',
      5_000,
      loop(() => room.range(timeline, { index: 'n', direction: 'backward', limit: 20 })),
    ),
  )
  costs.push(
    await measure(
      'old 20 of the timeline',
      2_000,
      loop((i) => room.range(timeline, { index: 'n', from: 1 + ((i * 37) % 5_000), limit: 20 })),
    ),
  )
  const byId = (id: string): Promise<readonly Row[]> =>
    room.range(timeline, { index: 'eventId', from: id, to: `${id}\u0000`, limit: 1 })
  costs.push(
    await measure(
      'new event by ID',
      5_000,
      loop((i) => byId(eventId(roomId, n - (i % 500)))),
    ),
  )
  costs.push(
    await measure(
      'old event by ID',
      5_000,
      loop((i) => byId(eventId(roomId, 1 + ((i * 37) % 5_000)))),
    ),
  )
  costs.push(
    await measure(
      'unknown event by ID',
      5_000,
      loop((i) => byId(`$unknown${i}`)),
    ),
  )
  return costs
}

async function fill(dir: string, events: number, roomCount: number): Promise<void> {
  await using store = await openStore({ dir })
  const perRoom = Math.ceil(events / roomCount)
  let began = performance.now()
  const lag = watchLoop()
  const fillRoom = async (i: number): Promise<void> => {
    const roomId = roomIdOf(i)
    for (let n = 1; n <= perRoom; n += 25) {
      await store.commit((position) => [
        ...Array.from({ length: Math.min(25, perRoom - n + 1) }, (_, k) =>
          put(timeline, eventRow(roomId, n + k), roomId),
        ),
        put(rooms, { roomId, version: '11', position }),
        put(members, { userId: `@user${n % 50}:bench.test`, membership: 'join', json: 'x'.repeat(300) }, roomId),
      ])
    }
  }
  for (let i = 0; i < roomCount; i += 20) {
    await Promise.all(Array.from({ length: Math.min(20, roomCount - i) }, (_, k) => fillRoom(i + k)))
  }
  process.stdout.write(
    `made ${events} events in ${roomCount} rooms in ${seconds(began)}, loop held up by at most ${lag()} ms\n`,
  )
  began = performance.now()
  await store[Symbol.asyncDispose]()
  process.stdout.write(`stopped in ${seconds(began)}\n`)
}

/** Changes to many rooms that are in the journal alone, as a crash leaves them. */
async function leaveInJournal(dir: string, roomCount: number): Promise<void> {
  await using store = await openStore({ dir, limits: { stopMs: -1 } })
  for (let i = 0; i < 30_000; i += 20) {
    await Promise.all(
      Array.from({ length: 20 }, (_, k) => {
        const roomId = roomIdOf((i + k) % roomCount)
        return store.commit(() => [put(timeline, eventRow(roomId, 1_000_000 + i + k), roomId)])
      }),
    )
  }
}

/** @returns stops watching, and says the longest time that the event loop was held up, in milliseconds */
function watchLoop(): () => number {
  let longest = 0
  let before = performance.now()
  const timer = setInterval(() => {
    const now = performance.now()
    longest = Math.max(longest, now - before - 1)
    before = now
  }, 1)
  return () => {
    clearInterval(timer)
    return Math.round(longest)
  }
}

const seconds = (began: number): string => `${((performance.now() - began) / 1_000).toFixed(2)} s`
const megabytes = (bytes: number): string => `${(bytes / 1024 / 1024).toFixed(0)} MB`

/** In a process of its own: opens the store, uses ten rooms, and prints what that cost. */
async function use(dir: string, began: number): Promise<void> {
  const fromStart = (): string => `${((Date.now() - began) / 1_000).toFixed(2)} s`
  await using store: DiskStore = await openStore({ dir })
  await store.home.range(rooms, { index: 'position', direction: 'backward', limit: 20 })
  process.stdout.write(
    `process started, store open and asked: ${fromStart()}, ${megabytes(process.memoryUsage().rss)}\n`,
  )
  const cpu = process.cpuUsage()
  const opened = performance.now()
  for (let i = 0; i < 10; i++) {
    const roomId = roomIdOf(i * 7)
    using room = await store.openRoom(roomId)
    await room.range(timeline, { index: 'n', direction: 'backward', limit: 20 })
    await room.range(timeline, { index: 'n', from: 100, limit: 50 })
    await room.range(timeline, { index: 'eventId', from: eventId(roomId, 77), limit: 1 })
    const next = (await room.count(timeline)) + 1
    await store.commit(() => [put(timeline, eventRow(roomId, next), roomId)])
  }
  const { user, system } = process.cpuUsage(cpu)
  process.stdout.write(`ten rooms opened, read and written in ${seconds(opened)} (CPU ${(user + system) / 1_000} ms)\n`)
  process.stdout.write(`memory with ten rooms in use: ${megabytes(process.memoryUsage().rss)}\n`)
}

async function sizeOf(folder: string): Promise<number> {
  let sum = 0
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) sum += (await stat(path.join(entry.parentPath, entry.name))).size
  }
  return sum
}

function useInProcess(dir: string): void {
  spawnSync(process.execPath, [fileURLToPath(import.meta.url), 'use', dir, String(Date.now())], { stdio: 'inherit' })
}

const [first = '1000000', second = '500', third] = process.argv.slice(2)
if (first === 'use') await use(second, Number(third))
else {
  const folder = await mkdtemp(path.join(tmpdir(), 'hearth-bench-'))
  process.stdout.write('per operation: CPU, time\n')
  for (const { what, cpu, wall } of await operations(path.join(folder, 'small'))) {
    process.stdout.write(`  ${what.padEnd(36)}${cpu.padStart(12)}${wall.padStart(14)}\n`)
  }
  const large = path.join(folder, 'large')
  await fill(large, Number(first), Number(second))
  process.stdout.write(
    `on the disk: ${megabytes(await sizeOf(large))}, ${Math.round((await sizeOf(large)) / Number(first))} bytes an event\n`,
  )
  useInProcess(large)
  await leaveInJournal(large, Number(second))
  process.stdout.write(`after a crash, with ${megabytes(await sizeOf(path.join(large, 'journal')))} of journal:\n`)
  useInProcess(large)
  await rm(folder, { recursive: true })
}
