import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { openStore } from '../../server/store/index.ts'
import { type Seeded, seeded } from '../support/seeded.ts'
import { all, crashLimits, keyAt, last, roomAt, rooms, rowOf, some } from './crash-commits.ts'
import { rounds } from './rounds.ts'

const writer = fileURLToPath(new URL('crash-writer.ts', import.meta.url))

/** Lets a process commit for a while, kills it, and returns the highest position that it was told of. */
async function writeAndKill(dir: string, random: Seeded): Promise<number> {
  const child = spawn(process.execPath, [writer, dir], { stdio: ['ignore', 'pipe', 'inherit'] })
  let said = ''
  child.stdout.on('data', (bytes: Buffer) => {
    said += String(bytes)
  })
  const closed = once(child, 'close')
  // Now and then it is killed while it starts, and brings in order what the one before left.
  if (random.chance(0.8)) await once(child.stdout, 'data')
  await wait(random.between(0, 150))
  child.kill('SIGKILL')
  await closed
  // The last line may have been cut.
  return Math.max(0, ...said.slice(0, said.lastIndexOf('\n')).split('\n').map(Number))
}

async function checkAll(dir: string, acknowledged: number, why: string): Promise<void> {
  await using store = await openStore({ dir, limits: crashLimits })
  const { position } = store
  expect(position, why).toBeGreaterThanOrEqual(acknowledged)
  expect(await store.home.get(last, 'last'), why).toEqual(position > 0 ? { id: 'last', n: position } : undefined)
  expect(await store.home.count(all), why).toBe(position)
  const rows = await store.home.range(all, { index: 'n' })
  expect(rows, why).toEqual(Array.from({ length: position }, (_, i) => rowOf(i + 1)))
  for (const roomId of rooms) {
    using room = await store.openRoom(roomId)
    const wanted = rows.map((row) => row.n).filter((n) => roomAt(n) === roomId)
    expect(await room.range(some, { index: 'n' }), why).toEqual(wanted.map((n) => ({ n: keyAt(n), id: `$${n}` })))
    const n = wanted[wanted.length >> 1]
    if (n === undefined) continue
    expect(await room.range(some, { index: 'id', from: `$${n}`, to: `$${n}\u0000` }), why).toHaveLength(1)
  }
}

/** So many kills in one folder; what it holds is read whole after most of them. */
const killsPerFolder = 20

describe('a process that is killed', () => {
  it('has lost nothing that it had acknowledged, and nothing is there by half', { timeout: 1_800_000 }, async () => {
    const kills = rounds({ short: 8, long: 200 })
    let total = 0
    for (let first = 0; first < kills.length; first += killsPerFolder) {
      const dir = await mkdtemp(path.join(tmpdir(), 'hearth-crash-'))
      const seed = kills[first] as number
      const random = seeded(seed)
      const some = kills.slice(first, first + killsPerFolder)
      let acknowledged = 0
      for (const kill of some) {
        acknowledged = Math.max(acknowledged, await writeAndKill(dir, random))
        // Now and then it is killed again before anybody has looked.
        if (random.chance(0.7) || kill === some.at(-1)) await checkAll(dir, acknowledged, `seed ${seed}, kill ${kill}`)
      }
      expect(acknowledged).toBeGreaterThan(some.length)
      total += acknowledged
      await rm(dir, { recursive: true })
    }
    process.stdout.write(`${kills.length} kills, ${total} acknowledged commits, all there\n`)
  })
})
