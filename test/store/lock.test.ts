import { spawn } from 'node:child_process'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { openStore } from '../../server/store/index.ts'

const folder = await mkdtemp(path.join(tmpdir(), 'hearth-lock-'))
afterAll(() => rm(folder, { recursive: true, force: true }))
const holder = fileURLToPath(new URL('lock-holder.ts', import.meta.url))

interface Process {
  /** Its first line: `open`, or the name and message of the error. */
  readonly said: Promise<string>
  end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void>
}

function start(dir: string): Process {
  const child = spawn(process.execPath, [holder, dir], { stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const said = new Promise<string>((resolve) =>
    child.stdout.once('data', (bytes: Buffer) => resolve(String(bytes).trim())),
  )
  return {
    said,
    async end(signal) {
      child.kill(signal)
      await ended
    },
  }
}

describe('one process at a time', () => {
  it('refuses a second store of the same process, and lets it in when the first is closed', async () => {
    const dir = path.join(folder, 'same')
    const first = await openStore({ dir })
    await expect(openStore({ dir })).rejects.toMatchObject({
      name: 'StoreLocked',
      message: expect.stringContaining(dir),
    })
    await first[Symbol.asyncDispose]()
    await using _second = await openStore({ dir })
  })

  it('refuses a second process, also in a folder with a very long path', async () => {
    const dir = path.join(folder, ...Array.from({ length: 6 }, () => 'x'.repeat(60)))
    const other = start(dir)
    expect(await other.said).toBe('open')
    await expect(openStore({ dir })).rejects.toMatchObject({ name: 'StoreLocked' })
    const third = start(dir)
    expect(await third.said).toMatch(/^StoreLocked: .* in use by another process/)
    await other.end('SIGTERM')
    await using _store = await openStore({ dir })
  })

  it('leaves nothing behind when the process is killed', async () => {
    const dir = path.join(folder, 'killed')
    const other = start(dir)
    expect(await other.said).toBe('open')
    await other.end('SIGKILL')
    await using _store = await openStore({ dir })
  })

  it('lets in one of several that start at the same moment', async () => {
    const dir = path.join(folder, 'race')
    const all = [1, 2, 3, 4].map(() => start(dir))
    const said = await Promise.all(all.map((each) => each.said))
    expect(said.filter((line) => line === 'open')).toHaveLength(1)
    expect(said.filter((line) => line.startsWith('StoreLocked'))).toHaveLength(3)
    await Promise.all(all.map((each) => each.end('SIGKILL')))
  })

  it('gives the lock back when the start fails', async () => {
    const dir = path.join(folder, 'failed')
    const migrations = [{ to: 9, run: async () => {} }]
    await (await openStore({ dir, migrations }))[Symbol.asyncDispose]()
    await expect(openStore({ dir })).rejects.toMatchObject({ name: 'UnknownFormat' })
    await using _store = await openStore({ dir, migrations })
  })

  it.skipIf(process.platform === 'win32')('keeps the folder and its files from other users', async () => {
    const dir = path.join(folder, 'mode')
    await using store = await openStore({ dir })
    await store.commit(() => [])
    expect((await stat(dir)).mode & 0o777).toBe(0o700)
    expect((await stat(path.join(dir, 'journal', '0000000001.journal'))).mode & 0o777).toBe(0o600)
  })
})
