import { EventEmitter } from 'node:events'
import type { BrowserWindowConstructorOptions, MenuItemConstructorOptions, Rectangle } from 'electron'
import type { Electron } from '../../main/desktop.ts'

type OpenHandler = (details: { url: string }) => { action: string }

export class FakeContents extends EventEmitter {
  openHandler: OpenHandler | undefined
  zoomLevel = 0
  setWindowOpenHandler(handler: OpenHandler): void {
    this.openHandler = handler
  }
  getZoomLevel(): number {
    return this.zoomLevel
  }
  setZoomLevel(level: number): void {
    this.zoomLevel = level
  }
}

export class FakeWindow extends EventEmitter {
  readonly webContents = new FakeContents()
  readonly options: BrowserWindowConstructorOptions
  bounds: Rectangle
  isVisible = false
  isMinimizedNow = false
  readonly loaded: string[] = []

  constructor(options: BrowserWindowConstructorOptions) {
    super()
    this.options = options
    const { x = 0, y = 0, width = 800, height = 600 } = options
    this.bounds = { x, y, width, height }
  }

  async loadURL(url: string): Promise<void> {
    this.loaded.push(url)
    this.emit('ready-to-show')
  }
  show(): void {
    this.isVisible = true
  }
  focus(): void {}
  restore(): void {
    this.isMinimizedNow = false
  }
  isMinimized(): boolean {
    return this.isMinimizedNow
  }
  getNormalBounds(): Rectangle {
    return this.bounds
  }
  close(): void {
    this.emit('close')
    this.emit('closed')
  }
}

type Frame = { readonly url: string; readonly parent: unknown } | null

export interface FakeElectron {
  /** As the desktop shell sees it. */
  readonly electron: Electron
  readonly app: EventEmitter
  /** What was called that matters for the order, by names of the fake's own. */
  readonly calls: string[]
  readonly windows: readonly FakeWindow[]
  /** Titles and texts of the error boxes. */
  readonly errorBoxes: readonly (readonly string[])[]
  readonly openedOutside: readonly string[]
  readonly badge: () => number
  /** Chooses an entry of the tray's menu, by its label. */
  choose(label: string): void
  /** What a page in this frame gets from the main process. */
  invoke(frame: Frame, channel: string, request: unknown): Promise<unknown>
  /** What the page's own scheme answers. */
  load(url: string): Promise<Response>
  /** Whether the app has come to its end, and with which status. */
  readonly ended: () => number | undefined
}

/** Electron's part, as far as the desktop shell uses it, with what its documentation promises of the order of events. */
export function fakeElectron({ hasLock = true, userData }: { hasLock?: boolean; userData: string }): FakeElectron {
  const calls: string[] = []
  const windows: FakeWindow[] = []
  const openWindows = new Set<FakeWindow>()
  const errorBoxes: string[][] = []
  const openedOutside: string[] = []
  const handlers = new Map<string, (event: unknown, request: unknown) => Promise<unknown>>()
  let badge = 0
  let status: number | undefined
  let trayMenu: readonly MenuItemConstructorOptions[] = []
  let scheme: ((request: { url: string }) => Promise<Response>) | undefined

  const app = Object.assign(new EventEmitter(), {
    requestSingleInstanceLock() {
      calls.push('lock')
      return hasLock
    },
    enableSandbox: () => void calls.push('sandbox'),
    async whenReady() {
      calls.push('ready')
    },
    getPath: () => userData,
    setBadgeCount(count: number) {
      badge = count
      return true
    },
    quit() {
      calls.push('quit')
      let isPrevented = false
      app.emit('before-quit', { preventDefault: () => (isPrevented = true) })
      if (isPrevented) return
      for (const window of openWindows) window.close()
      status ??= 0
    },
    exit(code: number) {
      status ??= code
    },
  })

  class Window extends FakeWindow {
    constructor(options: BrowserWindowConstructorOptions) {
      super(options)
      calls.push('window')
      windows.push(this)
      openWindows.add(this)
      app.emit('web-contents-created', {}, this.webContents)
      this.on('closed', () => {
        openWindows.delete(this)
        // Electron quits by itself where nobody listens.
        if (openWindows.size === 0 && !app.emit('window-all-closed')) app.quit()
      })
    }
  }
  class Tray extends EventEmitter {
    constructor(icon: string) {
      super()
      calls.push(`tray ${icon}`)
    }
    setToolTip(): void {}
    setContextMenu(menu: readonly MenuItemConstructorOptions[]): void {
      trayMenu = menu
    }
  }

  const electron = {
    app,
    BrowserWindow: Window,
    Tray,
    Menu: {
      setApplicationMenu: () => void calls.push('menu'),
      buildFromTemplate: (template: readonly MenuItemConstructorOptions[]) => template,
    },
    nativeImage: { createFromPath: (path: string) => path },
    ipcMain: {
      handle: (channel: string, handler: (event: unknown, request: unknown) => Promise<unknown>) =>
        void handlers.set(channel, handler),
    },
    protocol: {
      registerSchemesAsPrivileged: () => void calls.push('schemes'),
      handle(_name: string, handler: (request: { url: string }) => Promise<Response>) {
        calls.push('protocol')
        scheme = handler
      },
    },
    screen: {
      getPrimaryDisplay: () => ({ workArea: { x: 0, y: 0, width: 1920, height: 1080 } }),
      getAllDisplays: () => [{ workArea: { x: 0, y: 0, width: 1920, height: 1080 } }],
    },
    session: {
      defaultSession: {
        setPermissionRequestHandler: () => void calls.push('permissions'),
        setPermissionCheckHandler: () => undefined,
        setDevicePermissionHandler: () => undefined,
      },
    },
    shell: { openExternal: async (url: string) => void openedOutside.push(url) },
    dialog: { showErrorBox: (...texts: string[]) => void errorBoxes.push(texts) },
  }

  return {
    electron: electron as unknown as Electron,
    ...{ app, calls, windows, errorBoxes, openedOutside },
    badge: () => badge,
    ended: () => status,
    choose(label) {
      const entry = trayMenu.find((item) => item.label === label)
      if (!entry?.click)
        throw new Error(`the tray's menu has no "${label}"`)
        // None of the shell's entries looks at what Electron passes along.
      ;(entry.click as () => void)()
    },
    async invoke(frame, channel, request) {
      const handler = handlers.get(channel)
      if (!handler) throw new Error(`No handler registered for '${channel}'`)
      return handler({ senderFrame: frame }, request)
    },
    async load(url) {
      if (!scheme) throw new Error('no scheme is handled')
      return scheme({ url })
    },
  }
}
