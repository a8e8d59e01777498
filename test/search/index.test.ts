import { copyFile, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createSearch, type Search } from '../../server/search/index.ts'
import { EventMatcher } from '../../server/sync/index.ts'
import { manualClock } from '../support/manual-clock.ts'
import { join as joinRoom, newRoom, send } from '../support/room-calls.ts'
import { edit, find, ids, indexText, redact } from '../support/search-calls.ts'
import { startTestRooms, type TestRooms } from '../support/test-rooms.ts'
import { type Person, startTestServer, type TestServer, type TestServerOptions } from '../support/test-server.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hearth-search-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const indexFiles = async (): Promise<readonly string[]> =>
  (await readdir(folder)).filter((name) => name.startsWith('search.sqlite'))

describe('the index of the search, over starts and stops', () => {
  let server: TestServer | undefined
  afterEach(() => server?.[Symbol.asyncDispose]())
  const start = async (options: TestServerOptions = {}): Promise<TestServer> => {
    server = await startTestServer({ dataDir: folder, ...options })
    return server
  }
  const stop = async (): Promise<void> => {
    await server?.[Symbol.asyncDispose]()
    server = undefined
  }
  const alone = async (): Promise<{ alice: Person; roomId: string }> => {
    const alice = await (await start()).register('alice')
    return { alice, roomId: await newRoom(alice) }
  }

  it('finds each event once, whatever was indexed when the server was killed', async () => {
    const { alice, roomId } = await alone()
    const first = await send(alice, roomId, 'walnut one')
    const edited = await send(alice, roomId, 'walnut two')
    expect(ids(await find(alice, 'walnut'))).toEqual([edited, first])
    await mkdir(join(folder, 'then'))
    for (const name of await indexFiles()) await copyFile(join(folder, name), join(folder, 'then', name))
    await edit(alice, roomId, edited, 'hazelnut')
    const third = await send(alice, roomId, 'walnut three')
    expect(ids(await find(alice, 'walnut'))).toEqual([third, first])
    await stop()
    for (const name of await indexFiles()) await rm(join(folder, name))
    for (const name of await readdir(join(folder, 'then')))
      await copyFile(join(folder, 'then', name), join(folder, name))
    const again = await (await start()).login('alice')
    expect(ids(await find(again, 'walnut'))).toEqual([third, first])
    expect(ids(await find(again, 'hazelnut'))).toEqual([edited])
    expect((await find(again, 'walnut')).count).toBe(2)
    expect(server?.complaints).toEqual([])
  })

  it.each(['none of ours', 'another format'])('is made anew where the file is %s', async (what) => {
    const { alice, roomId } = await alone()
    const said = await send(alice, roomId, 'walnut')
    expect(ids(await find(alice, 'walnut'))).toEqual([said])
    await stop()
    const path = join(folder, 'search.sqlite')
    if (what === 'none of ours') await writeFile(path, 'x'.repeat(10_000))
    else {
      using db = new DatabaseSync(path)
      db.exec('PRAGMA user_version = 99')
    }
    expect(ids(await find(await (await start()).login('alice'), 'walnut'))).toEqual([said])
  })

  it('reads a room anew whose history is another than the one that was indexed', async () => {
    const { alice, roomId } = await alone()
    const said = await send(alice, roomId, 'walnut')
    expect(ids(await find(alice, 'walnut'))).toEqual([said])
    await stop()
    {
      using db = new DatabaseSync(join(folder, 'search.sqlite'))
      db.exec(
        `UPDATE progress SET tail = '$of-another-time', position = 1; DELETE FROM entries; INSERT INTO words (words) VALUES ('rebuild')`,
      )
    }
    expect(ids(await find(await (await start()).login('alice'), 'walnut'))).toEqual([said])
  })

  it('is not there before anybody said anything, and comes in the background a second after', async () => {
    const clock = manualClock()
    const alice = await (await start({ clock })).register('alice')
    expect(await indexFiles()).toEqual([])
    const roomId = await newRoom(alice)
    await joinRoom(alice, roomId)
    await send(alice, roomId, 'walnut')
    expect(await indexFiles()).toEqual([])
    clock.advance(1_000)
    await vi.waitFor(async () => expect(await indexText(folder)).toContain('walnut'), { timeout: 10_000 })
  })

  it('holds nothing of what was redacted or edited away, in any of its files', async () => {
    const { alice, roomId } = await alone()
    const redacted = await send(alice, roomId, 'zzredactedzz elsewhere')
    const edited = await send(alice, roomId, 'zzeditedzz')
    expect(ids(await find(alice, 'zz'))).toEqual([edited, redacted])
    expect(await indexText(folder)).toContain('zzredactedzz')
    await redact(alice, roomId, redacted)
    await edit(alice, roomId, edited, 'new')
    expect(ids(await find(alice, 'zz'))).toEqual([])
    expect(await indexText(folder)).not.toMatch(/zzre|zzed/)
  })
})

describe('the index of the search, with rooms whose messages expire', () => {
  let test: TestRooms
  let search: Search
  beforeEach(async () => {
    test = await startTestRooms()
    const accounts = { findAccountData: async () => undefined, listPeople: async () => [] }
    const { environment, rooms } = test
    search = createSearch({ environment, rooms, accounts, path: join(folder, 'search.sqlite') })
  })
  afterEach(async () => {
    await search[Symbol.asyncDispose]()
    await test[Symbol.asyncDispose]()
  })

  it('loses the text of what has expired within the hour', async () => {
    const requester = test.user('alice')
    const roomId = await test.rooms.createRoom({ creator: requester.userId })
    const content = { msgtype: 'm.text', body: 'walnut' }
    await test.rooms.send({ roomId, requester, txnId: '1', type: 'm.room.message', content })
    const ask = async (): Promise<unknown> => {
      const wish = { orderBy: 'recent', includeState: false, groupBy: [], keys: undefined } as const
      const { userId, deviceId } = requester
      const more = { filter: new EventMatcher(), context: undefined, nextBatch: undefined }
      const reply = await search.find({ userId, deviceId, term: 'walnut', ...wish, ...more })
      return JSON.parse(reply).search_categories.room_events.count
    }
    expect(await ask()).toBe(1)
    expect(await indexText(folder)).toContain('walnut')
    await test.rooms.retention.set({ defaultMs: null, shortestMs: null, longestMs: 60_000 })
    test.clock.advance(3_600_000)
    expect(await ask()).toBe(0)
    await vi.waitFor(async () => expect(await indexText(folder)).not.toContain('walnut'), { timeout: 10_000 })
  })
})
