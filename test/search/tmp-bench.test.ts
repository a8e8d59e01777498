import { mkdtemp, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { it } from 'vitest'
import { IndexFile } from '../../server/search/index-file.ts'
import { createSearch } from '../../server/search/index.ts'
import { EventMatcher } from '../../server/sync/index.ts'
import { startTestRooms } from '../support/test-rooms.ts'
it('bench', async () => {
  const t = await startTestRooms()
  const alice = t.user('alice')
  const roomId = await t.rooms.createRoom({ creator: alice.userId })
  const words = Array.from({ length: 5000 }, (_, i) => Math.sin(i).toString(36).slice(3, 9))
  const N = 4000
  for (let i = 0; i < N; i++) {
    const body = i % 500 === 0 ? '東京都に行きました'.repeat(1500) : i % 501 === 0 ? Array.from({length: 3000}, (_, k) => words[(i * 31 + k * 17) % 5000]).join(' ') : Array.from({ length: 12 }, (_, k) => words[(i * 7 + k * 13) % 5000]).join(' ') + ' common'
    await t.rooms.send({ roomId, requester: alice, txnId: String(i), type: 'm.room.message', content: { msgtype: 'm.text', body } })
  }
  const dir = await mkdtemp(join(tmpdir(), 'hb-'))
  const times: number[] = []
  const write = IndexFile.prototype.write
  IndexFile.prototype.write = function (w) { const a = process.cpuUsage().user; const s = performance.now(); write.call(this, w); times.push(performance.now() - s); void a }
  const s = createSearch({ environment: t.environment, rooms: t.rooms, accounts: { findAccountData: async () => undefined }, path: join(dir, 's.sqlite') })
  const q = { userId: alice.userId, deviceId: null, keys: undefined, orderBy: 'rank', filter: new EventMatcher(), context: undefined, includeState: false, groupBy: [], nextBatch: undefined } as const
  let a = performance.now()
  await s.find({ ...q, term: 'common' })
  console.log('index', N, performance.now() - a, 'ms; max slices', times.toSorted((x, y) => y - x).slice(0, 10).map(Math.round), 'median', times.toSorted((x, y) => x - y)[times.length >> 1])
  for (const term of ['common', 'comm', words[5] ?? '', '東京']) {
    a = performance.now(); const r = await s.find({ ...q, term }); console.log(term, performance.now() - a, r.slice(0, 60))
  }
  console.log((await stat(join(dir, 's.sqlite'))).size)
  await s[Symbol.asyncDispose]()
}, 120000)
