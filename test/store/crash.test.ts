import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { openStore } from '../../server/store/index.ts'
import { seeded } from '../support/seeded.ts'
import { all, crashLimits, keyAt, last, roomAt, rooms, rowOf, some } from './crash-commits.ts'
import { rounds } from './rounds.ts'

const writer = fileURLToPath(new URL('crash-writer.ts', import.meta.url))

/** Lets a process commit for a while, kills it, and returns the highest position that it was told of. */
async function writeAndKill(dir: string, afterMs: number): Promise<number> {
  const child = spawn(process.execPath, [writer, dir], { stdio: ['ignore', 'pipe', 'inherit'] })
  let said = ''
  child.stdout.on('data', (bytes: Buffer) => {
    said += String(bytes)
  })
  const closed = once(child, 'close')
  await once(child.stdout, 'data')
  await wait(afterMs)
  child.kill('SIGKILL')
  await closed
  // The last line may have been cut.
  return Math.max(0, ...said.slice(0, said.lastIndexOf('\n')).split('\n').map(Number))
}

async function checkAll(dir: string, acknowledged: number): Promise<number> {
  await using store = await openStore({ dir, limits: crashLimits })
  const { position } = store
  expect(position).toBeGreaterThanOrEqual(acknowledged)
  expect(await store.home.get(last, 'last')).toEqual({ id: 'last', n: position })
  expect(await store.home.count(all)).toBe(position)
  const rows = await store.home.range(all, { index: 'n' })
  expect(rows).toEqual(Array.from({ length: position }, (_, i) => rowOf(i + 1)))
  for (const roomId of rooms) {
    using room = await store.openRoom(roomId)
    const wanted = rows.map((row) => row.n).filter((n) => roomAt(n) === roomId)
    expect(await room.range(some, { index: 'n' })).toEqual(wanted.map((n) => ({ n: keyAt(n), id: `$${n}` })))
    const n = wanted[wanted.length >> 1] as number
    expect(await room.range(some, { index: 'id', from: `$${n}`, to: `$${n}\u0000` })).toHaveLength(1)
  }
  return position
}

describe('a process that is killed', () => {
  it('has lost nothing that it had acknowledged, and nothing is there by half', { timeout: 600_000 }, async () => {
    const dir = await mkdtemp(path.join(tmpdir(), 'hearth-crash-'))
    const kills = rounds({ short: 8, long: 200 })
    const random = seeded(kills[0] as number)
    let acknowledged = 0
    for (const kill of kills) {
      acknowledged = Math.max(acknowledged, await writeAndKill(dir, random.between(0, 150)))
      // Now and then it is killed again before anybody has looked.
      if (random.chance(0.7) || kill === kills.at(-1)) await checkAll(dir, acknowledged)
    }
    expect(acknowledged).toBeGreaterThan(kills.length)
    await rm(dir, { recursive: true })
  })
})
