import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { findFreePort, killWhatRuns, type RunningProgram, root, run } from './running-program.ts'

let folder: string
let home: string
let port: number
beforeEach(async () => {
  port = await findFreePort()
  folder = mkdtempSync(join(tmpdir(), 'hearth-start-'))
  home = join(folder, 'home')
})
afterEach(async () => {
  await killWhatRuns()
  rmSync(folder, { recursive: true, force: true })
})

const RUNNING = /Its page: (\S+)/
const noDisplay = { DISPLAY: undefined, WAYLAND_DISPLAY: undefined }

function npmStart(...options: string[]): RunningProgram {
  return run('npm', ['start', '--', '--home', home, '--port', String(port), ...options], { env: noDisplay })
}

/** A listener on the port that the home has kept, as another program that came first. */
async function takePortOf(config: string): Promise<Server> {
  const { listeners } = JSON.parse(readFileSync(config, 'utf8')) as { listeners: [{ port: number }] }
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(listeners[0].port, '127.0.0.1', resolve))
  return server
}

// The first start builds what is stale, which on a busy machine takes its time.
describe.runIf(process.platform === 'linux')('npm start', { timeout: 180_000 }, () => {
  it('makes a home and serves the built page, under its policy, at the address that it prints', async () => {
    await using started = npmStart()
    const address = new URL(await started.until(RUNNING))
    expect(address.host).toBe(`127.0.0.1:${port}`)
    expect(address.hash).toMatch(/^#claim=[A-Z0-9-]{16,}$/)
    const page = await fetch(new URL('/', address))
    expect(page.status).toBe(200)
    expect(page.headers.get('content-security-policy')).toMatch(/script-src 'self' 'wasm-unsafe-eval'(;|$)/)
    expect(await page.text()).toBe(readFileSync(join(root, 'renderer/dist/index.html'), 'utf8'))
    expect((await fetch(new URL('/_matrix/client/versions', address))).status).toBe(200)
    expect(statSync(home).mode & 0o777).toBe(0o700)
    expect(readFileSync(join(home, 'data/claim-code'), 'utf8').trim()).toBe(address.hash.slice('#claim='.length))
  })

  it.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)(
    'ends with status 0 on %s to all of it, and nothing stays',
    async (signal) => {
      await using started = npmStart()
      await started.until(RUNNING)
      started.signalGroup(signal)
      // A closed terminal ends npm itself, which nobody is there to ask.
      expect(await started.exited).toBe(signal === 'SIGHUP' ? -1 : 0)
      await expect.poll(started.survivors).toEqual([])
    },
  )

  it.each(['SIGINT', 'SIGTERM'] as const)(
    'ends with status 0 on %s to npm alone, and nothing stays',
    async (signal) => {
      await using started = npmStart()
      await started.until(RUNNING)
      process.kill(started.pid, signal)
      expect(await started.exited).toBe(0)
      expect(started.survivors()).toEqual([])
    },
  )

  it('ends with status 0 when it is told to before it is ready, and its home starts next time', async () => {
    await using hasty = npmStart()
    await expect.poll(() => existsSync(join(home, 'hearth.json')), { timeout: 60_000, interval: 5 }).toBe(true)
    process.kill(hasty.pid, 'SIGTERM')
    expect(await hasty.exited, hasty.output).toBe(0)
    expect(hasty.survivors()).toEqual([])
    await using next = npmStart()
    await next.until(RUNNING)
  })

  it('keeps its address and its name from one start to the next', async () => {
    const addresses: string[] = []
    const names: unknown[] = []
    for (const _ of [1, 2]) {
      await using started = npmStart()
      addresses.push(new URL(await started.until(RUNNING)).origin)
      names.push(JSON.parse(readFileSync(join(home, 'hearth.json'), 'utf8')).server_name)
      process.kill(started.pid, 'SIGTERM')
      await started.exited
    }
    expect(addresses[1]).toBe(addresses[0])
    expect(names[1]).toBe(names[0])
  })

  it('says that the home runs already, and leaves the first start alone', async () => {
    await using first = npmStart()
    const address = new URL(await first.until(RUNNING))
    await using second = npmStart()
    expect(await second.exited).toBe(1)
    expect(second.output).toContain('in use by another process')
    expect(second.output).not.toMatch(RUNNING)
    expect((await fetch(new URL('/_matrix/client/versions', address))).status).toBe(200)
  })

  it('says which port another program has taken', async () => {
    {
      await using first = npmStart()
      await first.until(RUNNING)
      process.kill(first.pid, 'SIGTERM')
      await first.exited
    }
    const other = await takePortOf(join(home, 'hearth.json'))
    try {
      await using second = npmStart()
      expect(await second.exited).toBe(1)
      const { port } = other.address() as { port: number }
      expect(second.output).toMatch(new RegExp(`Hearth could not start: cannot listen on 127.0.0.1 port ${port}`))
      expect(second.output).toContain(join(home, 'hearth.json'))
      expect(second.survivors()).toEqual([])
    } finally {
      other.close()
    }
  })

  it('names a new home after the domain that it is given, and says so when it cannot', async () => {
    {
      await using started = npmStart('--domain', 'home.example')
      await started.until(RUNNING)
      expect(JSON.parse(readFileSync(join(home, 'hearth.json'), 'utf8')).server_name).toBe('home.example')
    }
    await using renamed = npmStart('--domain', 'other.example')
    expect(await renamed.exited).toBe(1)
    expect(renamed.output).toContain('is named home.example and keeps this name')
  })

  it('refuses a name that no server can have before anything is made', async () => {
    await using started = npmStart('--domain', 'not a name')
    expect(await started.exited).toBe(1)
    expect(started.output).toContain('not a name is no server name')
    expect(existsSync(home)).toBe(false)
  })

  it('names the option that it does not know, and what there is', async () => {
    await using started = npmStart('--hom', folder)
    expect(await started.exited).toBe(2)
    expect(started.output).toContain("'--hom'")
    expect(started.output).toContain('--no-browser')
  })

  describe('the browser', () => {
    /** A display, and a program in front of the path that stands for the system's opener and notes what it is given. */
    function withOpener(): { opened: () => string | undefined; env: Record<string, string> } {
      const note = join(folder, 'opened')
      const programs = join(folder, 'programs')
      mkdirSync(programs)
      writeFileSync(join(programs, 'xdg-open'), `#!/bin/sh\nprintf %s "$1" > ${note}.new && mv ${note}.new ${note}\n`, {
        mode: 0o755,
      })
      return {
        opened: () => (existsSync(note) ? readFileSync(note, 'utf8') : undefined),
        env: { DISPLAY: ':0', PATH: `${programs}${delimiter}${process.env.PATH}` },
      }
    }

    it('is given the address where there is a display', async () => {
      const { opened, env } = withOpener()
      await using started = run('npm', ['start', '--', '--home', home, '--port', String(port)], { env })
      const address = await started.until(RUNNING)
      await expect.poll(opened, { timeout: 20_000 }).toBe(address)
    })

    it('is left alone with --no-browser', async () => {
      const { opened, env } = withOpener()
      await using started = run('npm', ['start', '--', '--home', home, '--port', String(port), '--no-browser'], { env })
      await started.until(/Stop it with/)
      process.kill(started.pid, 'SIGTERM')
      await started.exited
      expect(opened()).toBeUndefined()
    })
  })
})
