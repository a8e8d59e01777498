import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { startDesktop } from '../../main/desktop.ts'
import type { HomeStart, RunningHome } from '../../main/homeserver/running-home.ts'
import { homeAddress } from '../../shared/ipc/home-address.ts'
import { showUnreadCount } from '../../shared/ipc/unread-count.ts'
import { type FakeElectron, fakeElectron } from './fake-electron.ts'

// What the preload script finds in its sandbox.
const sandbox = vi.hoisted(() => ({
  exposed: new Map<string, Record<string, (argument?: unknown) => Promise<unknown>>>(),
  invoke: async (_channel: string, _request: unknown): Promise<unknown> => undefined,
}))
vi.mock('electron', () => ({
  contextBridge: {
    exposeInMainWorld: (name: string, api: Record<string, () => Promise<unknown>>) => sandbox.exposed.set(name, api),
  },
  ipcRenderer: { invoke: (channel: string, request: unknown) => sandbox.invoke(channel, request) },
}))

const ourPage = { url: 'hearth://app/', parent: null }

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hearth-desktop-'))
  writeFileSync(join(folder, 'index.html'), '<!doctype html><title>Hearth</title>')
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

/** A home's server whose every step the test takes. */
function fakeHome() {
  const ready = Promise.withResolvers<RunningHome>()
  const stopped = Promise.withResolvers<void>()
  let stops = 0
  let tellExit: ((why: string) => void) | undefined
  let claimCode: string | null = 'CODE'
  const start: HomeStart = {
    ready: ready.promise,
    stop() {
      stops += 1
      return stopped.promise
    },
  }
  return {
    start,
    fail: (why: string) => ready.reject(new Error(why)),
    run: () =>
      ready.resolve({
        url: 'http://127.0.0.1:8008',
        claimCode: () => claimCode,
        onExit: (listener) => {
          tellExit = listener
        },
      }),
    claim: () => {
      claimCode = null
    },
    exit: (why: string) => tellExit?.(why),
    stops: () => stops,
    finishStop: () => stopped.resolve(),
  }
}

function desktop(options: { hasLock?: boolean } = {}) {
  const fake = fakeElectron({ ...options, userData: join(folder, 'app') })
  const home = fakeHome()
  const files = { page: folder, preload: '/app/preload.cjs', icon: '/app/icon.png', trayIcon: '/app/tray.png' }
  const started = startDesktop(fake.electron, files, async () => {
    fake.calls.push('home')
    return home.start
  })
  return { fake, home, started }
}

/** With its server running and its window open. */
async function openDesktop() {
  const all = desktop()
  all.home.run()
  await all.started
  const [window] = all.fake.windows
  if (!window) throw new Error('no window was opened')
  return { ...all, window }
}

/** Lets what was set off run until it waits for something else. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe('the desktop shell starts', () => {
  it('with its lock, then the rules that must stand before Electron is ready, then the server, and the window last', async () => {
    const { fake, started, home } = desktop()
    await settle()
    expect(fake.calls).toEqual(['lock', 'sandbox', 'schemes', 'ready', 'menu', 'permissions', 'protocol', 'home'])
    home.run()
    await started
    expect(fake.calls.slice(8)).toEqual(['tray /app/tray.png', 'window'])
  })

  it('its page in its own scheme, sandboxed, and shows it when it is drawn', async () => {
    const { fake, window } = await openDesktop()
    expect(window.loaded).toEqual(['hearth://app/'])
    expect(window.options).toMatchObject({
      show: false,
      webPreferences: { preload: '/app/preload.cjs', sandbox: true, contextIsolation: true, nodeIntegration: false },
    })
    expect(window.isVisible).toBe(true)
    expect(await (await fake.load('hearth://app/')).text()).toContain('Hearth')
  })

  it('with limits on whatever page comes to be, not only on its own window’s', async () => {
    const { fake } = await openDesktop()
    const { FakeContents } = await import('./fake-electron.ts')
    const contents = new FakeContents()
    fake.app.emit('web-contents-created', {}, contents)
    const preventDefault = vi.fn()
    contents.emit('will-navigate', { url: 'https://evil.example/', preventDefault })
    expect(preventDefault).toHaveBeenCalledOnce()
    expect(contents.openHandler?.({ url: 'https://example.org/' })).toEqual({ action: 'deny' })
    expect(fake.openedOutside).toEqual(['https://example.org/'])
  })

  it('only once: a second start makes nothing and goes', async () => {
    const { fake, started } = desktop({ hasLock: false })
    await started
    expect(fake.calls).toEqual(['lock', 'quit'])
    expect(fake.ended()).toBe(0)
  })

  it('not without its server: it says why and ends with status 1', async () => {
    const { fake, home, started } = desktop()
    home.fail('data_dir is in use by another process')
    await started
    expect(fake.errorBoxes).toEqual([['Hearth could not start', 'data_dir is in use by another process']])
    expect(fake.ended()).toBe(1)
    expect(fake.windows).toEqual([])
  })

  it('not where its home cannot even be made: it says why and ends with status 1', async () => {
    const fake = fakeElectron({ userData: folder })
    const files = { page: folder, preload: '', icon: '', trayIcon: '' }
    await startDesktop(fake.electron, files, () => Promise.reject(new Error('no space left on device')))
    expect(fake.errorBoxes).toEqual([['Hearth could not start', 'no space left on device']])
    expect(fake.ended()).toBe(1)
  })
})

describe('the window', () => {
  it('is shown again by a second start, also when it was minimized', async () => {
    const { fake, window } = await openDesktop()
    window.isMinimizedNow = true
    fake.app.emit('second-instance')
    await settle()
    expect(window.isMinimizedNow).toBe(false)
    expect(fake.windows).toHaveLength(1)
  })

  it('may be closed: the server goes on, and the tray opens it anew, where it was', async () => {
    const { fake, home, window } = await openDesktop()
    window.bounds = { x: 50, y: 60, width: 900, height: 700 }
    window.close()
    expect(home.stops()).toBe(0)
    expect(fake.ended()).toBeUndefined()
    fake.choose('Open Hearth')
    await vi.waitFor(() => expect(fake.windows).toHaveLength(2))
    expect(fake.windows[1]?.options).toMatchObject({ x: 50, y: 60, width: 900, height: 700 })
  })

  it('is opened once, however often it is asked for while it opens', async () => {
    const { fake, window } = await openDesktop()
    window.close()
    for (let i = 0; i < 3; i += 1) fake.app.emit('activate')
    await vi.waitFor(() => expect(fake.windows[1]?.loaded).toHaveLength(1))
    expect(fake.windows).toHaveLength(2)
  })

  it('opens in its usual place where what was kept cannot be read', async () => {
    const { fake, window } = await openDesktop()
    window.close()
    writeFileSync(join(folder, 'app/window.json'), '{"x":')
    fake.app.emit('activate')
    await vi.waitFor(() => expect(fake.windows).toHaveLength(2))
    expect(fake.windows[1]?.options).toMatchObject({ width: 1180, height: 800 })
  })

  it('has the browser’s keys for the size of its text', async () => {
    const { window } = await openDesktop()
    const press = (key: string, control = true): void => {
      const input = { type: 'keyDown', key, control, meta: false, alt: false }
      window.webContents.emit('before-input-event', { preventDefault: vi.fn() }, input)
    }
    press('+')
    press('=')
    press('-', false)
    expect(window.webContents.zoomLevel).toBe(2)
    press('0')
    expect(window.webContents.zoomLevel).toBe(0)
    for (let i = 0; i < 20; i += 1) press('-')
    expect(window.webContents.zoomLevel).toBe(-3)
  })
})

describe('quitting', () => {
  it('waits for the server, however often it is asked for, and keeps where the window was', async () => {
    const { fake, home, window } = await openDesktop()
    window.bounds = { x: 5, y: 6, width: 700, height: 600 }
    fake.choose('Stop Hearth')
    fake.electron.app.quit()
    await settle()
    expect(home.stops()).toBe(1)
    expect(fake.ended()).toBeUndefined()
    home.finishStop()
    await vi.waitFor(() => expect(fake.ended()).toBe(0))
    expect(JSON.parse(readFileSync(join(folder, 'app/window.json'), 'utf8'))).toEqual(window.bounds)
  })

  it('works while the server starts, without a word of failure', async () => {
    const { fake, home, started } = desktop()
    await settle()
    fake.electron.app.quit()
    home.finishStop()
    home.fail('Your home was stopped before it was ready')
    await started
    await vi.waitFor(() => expect(fake.ended()).toBe(0))
    expect(fake.errorBoxes).toEqual([])
  })

  it('happens with status 1, and a word, when the server ends by itself', async () => {
    const { fake, home } = await openDesktop()
    home.exit('the disk is full')
    expect(fake.errorBoxes).toEqual([['Your home has stopped', 'the disk is full']])
    expect(fake.ended()).toBe(1)
  })
})

describe('the page’s way to the shell', () => {
  /** The page's `window.hearth`, as the preload script makes it, over channels to this shell. */
  async function preloaded({ invoke }: FakeElectron) {
    sandbox.invoke = (channel, request) => invoke(ourPage, channel, request)
    vi.resetModules()
    await import('../../main/preload/index.ts')
    return sandbox.exposed.get('hearth') ?? {}
  }

  it('is one named function a channel, and nothing else', async () => {
    const { fake } = await openDesktop()
    const hearth = await preloaded(fake)
    expect([...sandbox.exposed.keys()]).toEqual(['hearth'])
    expect(Object.keys(hearth).sort()).toEqual(['homeAddress', 'showUnreadCount'])
  })

  it('tells the home’s address, and the code that claims it until somebody has', async () => {
    const { fake, home } = await openDesktop()
    const hearth = await preloaded(fake)
    expect(await hearth.homeAddress?.()).toEqual({ url: 'http://127.0.0.1:8008', claimCode: 'CODE' })
    home.claim()
    expect(await hearth.homeAddress?.()).toEqual({ url: 'http://127.0.0.1:8008', claimCode: null })
  })

  it('shows how many messages wait', async () => {
    const { fake } = await openDesktop()
    const hearth = await preloaded(fake)
    await hearth.showUnreadCount?.(3)
    expect(fake.badge()).toBe(3)
    await expect(hearth.showUnreadCount?.(-1)).rejects.toThrow('does not fit')
    expect(fake.badge()).toBe(3)
  })

  it.each([homeAddress, showUnreadCount])('is closed to other pages: $name', async ({ name }) => {
    const { fake } = await openDesktop()
    for (const frame of [
      { url: 'https://evil.example/', parent: null },
      { url: 'hearth://app/', parent: ourPage },
      null,
    ]) {
      await expect(fake.invoke(frame, name, null)).rejects.toThrow('not for this page')
    }
  })
})
