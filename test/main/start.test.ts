import { existsSync, mkdtempSync, readFileSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { prepareHomeFolder, usualHomeFolder } from '../../main/homeserver/home-folder.ts'
import type { HomeStart } from '../../main/homeserver/running-home.ts'
import { type HomeProcess, readyAddress, startHome } from '../../main/homeserver/start-home.ts'
import { commandFor } from '../../main/launch/open-in-browser.ts'
import { readStartOptions } from '../../main/launch/start-options.ts'

/** A server's process that does what the test says. */
function fakeProcess({ stopsWhenAsked = true } = {}) {
  const exits: ((code: number | null) => void)[] = []
  const stdout = new PassThrough()
  const stderr = new PassThrough()
  const asked: string[] = []
  const exit = (code: number | null): void => {
    stderr.end()
    for (const listener of exits) listener(code)
  }
  const process: HomeProcess = {
    stdout,
    stderr,
    terminate: () => {
      asked.push('terminate')
      if (stopsWhenAsked) exit(0)
    },
    kill: () => {
      asked.push('kill')
      exit(null)
    },
    onExit: (listener) => void exits.push(listener),
  }
  return { process, stdout, stderr, exit, asked }
}

const start = ({ process }: { process: HomeProcess }): HomeStart =>
  startHome(
    process,
    () => 'code',
    () => undefined,
  )

const ready =
  '{"event":"ready","server_name":"a.local","listeners":[{"address":"127.0.0.1","port":8123,"serves":["client"]}]}\n'

describe('a new home', () => {
  it('is named by its own root key, keeps its name and port, and is for its owner alone to read', async () => {
    const folder = join(mkdtempSync(join(tmpdir(), 'hearth-home-')), 'home')
    const file = await prepareHomeFolder(folder)
    const first = readFileSync(file, 'utf8')
    const config = JSON.parse(first)
    expect(config.server_name).toMatch(/^[a-z2-7]{32}\.local$/)
    expect(config.listeners).toEqual([{ address: '127.0.0.1', port: expect.any(Number), serves: ['client'] }])
    expect(statSync(file).mode & 0o777).toBe(0o600)
    expect(await prepareHomeFolder(folder)).toBe(file)
    await expect(prepareHomeFolder(folder, { domain: 'other.example' })).rejects.toThrow('keeps this name')
    expect(readFileSync(file, 'utf8')).toBe(first)
  })

  it('takes the domain that it is given at its first start', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'hearth-home-'))
    const config = JSON.parse(readFileSync(await prepareHomeFolder(folder, { domain: 'home.example' }), 'utf8'))
    expect(config.server_name).toBe('home.example')
    await expect(prepareHomeFolder(folder, { domain: 'home.example' })).resolves.toBeTypeOf('string')
  })

  it('is not made under a name that no server can have', async () => {
    const folder = join(mkdtempSync(join(tmpdir(), 'hearth-home-')), 'home')
    await expect(prepareHomeFolder(folder, { domain: 'https://home.example' })).rejects.toThrow('no server name')
    expect(existsSync(folder)).toBe(false)
  })

  it.each([
    ['linux', {}, '/u/.local/share/hearth'],
    ['linux', { XDG_DATA_HOME: '/data' }, '/data/hearth'],
    ['darwin', {}, '/u/Library/Application Support/Hearth'],
  ] as const)('lies where %s keeps such things', (platform, env, expected) => {
    expect(usualHomeFolder(platform, env, '/u')).toBe(expected)
  })
})

describe('the home’s server in its own process', () => {
  afterEach(() => void vi.useRealTimers())

  it('is ready with its `ready` line, and stops gracefully', async () => {
    const fake = fakeProcess()
    const starting = start(fake)
    fake.stdout.write('noise\n')
    fake.stdout.write(ready)
    const home = await starting.ready
    expect(home.url).toBe('http://127.0.0.1:8123')
    expect(home.claimCode()).toBe('code')
    await Promise.all([starting.stop(), starting.stop()])
    expect(fake.asked).toEqual(['terminate'])
  })

  it.each([
    [
      'its parting line',
      'hearth: the configuration key server_name is missing',
      'the configuration key server_name is missing',
    ],
    ['the reason of a logged error', '{"level":"error","event":"process.failed","why":"disk full"}', 'disk full'],
    [
      'its status, where it said nothing of use',
      '{"level":"warn","why":"slow disk"}',
      'The server ended with status 2',
    ],
  ])('says why it did not start: %s', async (_what, line, why) => {
    const fake = fakeProcess()
    const starting = start(fake)
    fake.stderr.write(`${line}\n(node:1) Warning: of another kind\n`)
    fake.exit(2)
    await expect(starting.ready).rejects.toThrow(why)
  })

  it('passes on every line of its log', async () => {
    const fake = fakeProcess()
    const lines: string[] = []
    const starting = startHome(
      fake.process,
      () => null,
      (line) => lines.push(line),
    )
    fake.stderr.write('{"event":"a"}\n{"event":"b"}\n')
    await starting.stop()
    expect(lines).toEqual(['{"event":"a"}', '{"event":"b"}'])
    await expect(starting.ready).rejects.toThrow('stopped before it was ready')
  })

  it('tells when it ends by itself, and not when it was asked to', async () => {
    const [dying, stopping] = [fakeProcess(), fakeProcess()]
    const starts = [start(dying), start(stopping)] as const
    for (const { stdout } of [dying, stopping]) stdout.write(ready)
    const told = Promise.withResolvers<string>()
    ;(await starts[0].ready).onExit(told.resolve)
    const notTold = vi.fn()
    ;(await starts[1].ready).onExit(notTold)
    await starts[1].stop()
    dying.exit(1)
    expect(await told.promise).toBe('The server ended with status 1')
    expect(notTold).not.toHaveBeenCalled()
  })

  it('is ended outright when it does not stop in time, and when it does not start in time', async () => {
    vi.useFakeTimers()
    const [stuck, silent] = [fakeProcess({ stopsWhenAsked: false }), fakeProcess({ stopsWhenAsked: false })]
    const stopped = start(stuck).stop()
    await vi.advanceTimersByTimeAsync(7_000)
    await stopped
    expect(stuck.asked).toEqual(['terminate', 'kill'])

    const late = start(silent)
    const why = late.ready.catch((cause: Error) => cause.message)
    await vi.advanceTimersByTimeAsync(67_000)
    expect(await why).toBe('Your home did not start within 60 seconds')
    expect(silent.asked).toEqual(['terminate', 'kill'])
  })

  it.each([
    ['no JSON', 'hello'],
    ['null', 'null'],
    ['another event', '{"event":"other"}'],
    ['no client listener', '{"event":"ready","listeners":[{"address":"::1","port":1,"serves":["federation"]}]}'],
  ])('takes %s for no `ready` line', (_what, line) => {
    expect(readyAddress(line)).toBeUndefined()
  })

  it('writes an IPv6 address as URLs do', () => {
    const line = '{"event":"ready","listeners":[{"address":"::1","port":80,"serves":["client"]}]}'
    expect(readyAddress(line)).toBe('http://[::1]:80')
  })
})

describe('opening the browser', () => {
  it('needs a display on Linux', () => {
    expect(commandFor('linux', {})).toBeUndefined()
    expect(commandFor('linux', { DISPLAY: ':0' })).toEqual(['xdg-open'])
    expect(commandFor('darwin', {})).toEqual(['open'])
  })
})

describe('the options of npm start and of the app', () => {
  const strictly = (...args: string[]) => readStartOptions(args, { isStrict: true })

  it('are a folder, a domain, a port, and no browser', () => {
    expect(strictly('--home', '/homes/../home', '--domain', 'home.example', '--port', '80', '--no-browser')).toEqual({
      ...{ home: '/home', domain: 'home.example', port: 80 },
      ...{ isBrowserWanted: false, isHelpWanted: false },
    })
    expect(strictly()).toEqual({
      home: undefined,
      domain: undefined,
      port: undefined,
      isBrowserWanted: true,
      isHelpWanted: false,
    })
  })

  it.each([['--hom'], ['/a/folder'], ['--home'], ['--port', '0'], ['--port', '65536'], ['--port', '1e3']])(
    'do not have %s %s',
    (...args) => {
      expect(() => strictly(...args)).toThrow()
    },
  )

  it('may stand among those of Electron’s program', () => {
    const args = ['--ozone-platform=wayland', '--home', '/home', 'matrix:u/alice:home.example']
    expect(readStartOptions(args, { isStrict: false }).home).toBe('/home')
  })
})
