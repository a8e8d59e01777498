import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { manualClock } from '../support/manual-clock.ts'
import { bodies, newRoom, roomPath, send, setState } from '../support/room-calls.ts'
import { startTestServer } from '../support/test-server.ts'

const HOUR = 3_600_000
let dataDir: string
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'hearth-erasure-'))
})
afterEach(() => rm(dataDir, { recursive: true, force: true }))

async function filesWith(text: string): Promise<readonly string[]> {
  const found: string[] = []
  for (const entry of await readdir(dataDir, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const file = join(entry.parentPath, entry.name)
    if ((await readFile(file).catch(() => Buffer.alloc(0))).includes(text)) found.push(file)
  }
  return found
}

describe('what was taken back', () => {
  it('is on the disk nowhere a day after a redaction, also of an old message and over a restart', async () => {
    const clock = manualClock()
    let roomId = ''
    let name = 'alice'
    {
      await using server = await startTestServer({ clock, dataDir })
      const alice = await server.register(name)
      name = alice.accessToken
      roomId = await newRoom(alice)
      const old = await send(alice, roomId, 'an old SECRET')
      for (let i = 0; i < 50; i += 1) await send(alice, roomId, `message ${i}`)
      const young = await send(alice, roomId, 'a young SECRET')
      for (const eventId of [old, young]) {
        const path = roomPath(roomId, `/redact/${encodeURIComponent(eventId)}/${eventId.slice(1, 9)}`)
        expect((await alice.api.put(path, {})).status).toBe(200)
      }
      expect((await filesWith('SECRET')).length).toBeGreaterThan(0)
    }
    clock.advance(25 * HOUR)
    await using server = await startTestServer({ clock, dataDir })
    const alice = { userId: '', deviceId: '', accessToken: name, api: server.api(name) }
    await expect.poll(() => filesWith('SECRET'), { timeout: 10_000 }).toEqual([])
    expect(await bodies(alice, roomId)).toContain('message 49')
  })

  it('is on the disk nowhere a day after its time was over', async () => {
    const clock = manualClock()
    await using server = await startTestServer({ clock, dataDir })
    const alice = await server.register('alice')
    const roomId = await newRoom(alice)
    await send(alice, roomId, 'a passing SECRET')
    await setState(alice, roomId, 'm.room.retention', { max_lifetime: HOUR })
    clock.advance(2 * HOUR)
    await expect
      .poll(
        async () => {
          clock.advance(HOUR)
          return filesWith('SECRET')
        },
        { timeout: 10_000 },
      )
      .toEqual([])
    expect(clock.now() - manualClock().now()).toBeGreaterThan(24 * HOUR)
  })
})
