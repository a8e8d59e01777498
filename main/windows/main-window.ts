import type { BrowserWindow, BrowserWindowConstructorOptions, Screen } from 'electron'
import { APP_ORIGIN } from '../security/app-scheme.ts'
import { secureWebPreferences } from '../security/window-options.ts'
import { type Bounds, restoreBounds } from './restore-bounds.ts'
import { readSavedBounds, saveBounds } from './saved-bounds.ts'
import { zoomByKeys } from './zoom.ts'

export interface MainWindow {
  /** Brings it to the front, opening it anew where it was closed. */
  show(): Promise<void>
}

/** The one window; closing it leaves the home running behind its tray icon. */
export function createMainWindow(deps: {
  readonly open: (options: BrowserWindowConstructorOptions) => BrowserWindow
  readonly screen: Pick<Screen, 'getAllDisplays' | 'getPrimaryDisplay'>
  readonly preload: string
  readonly icon: string
  readonly boundsFile: string
  readonly onProblem: (problem: unknown) => void
}): MainWindow {
  let window: BrowserWindow | undefined
  let opening: Promise<void> | undefined

  async function open(): Promise<void> {
    const main = deps.screen.getPrimaryDisplay().workArea
    const others = deps.screen.getAllDisplays().map((display) => display.workArea)
    const opened = deps.open({
      ...restoreBounds(await readSavedBounds(deps.boundsFile), [main, ...others]),
      minWidth: 360,
      minHeight: 480,
      show: false,
      title: 'Hearth',
      icon: deps.icon,
      autoHideMenuBar: true,
      backgroundColor: '#1d1613',
      webPreferences: secureWebPreferences(deps.preload),
    })
    window = opened
    zoomByKeys(opened.webContents)
    opened.once('ready-to-show', () => opened.show())
    opened.on('close', () => {
      const bounds: Bounds = opened.getNormalBounds()
      try {
        saveBounds(deps.boundsFile, bounds)
      } catch (problem) {
        // It opens in its usual place then; closing must not fail for that.
        deps.onProblem(problem)
      }
    })
    opened.on('closed', () => {
      window = undefined
    })
    await opened.loadURL(`${APP_ORIGIN}/`)
  }

  return {
    async show() {
      if (window) {
        if (window.isMinimized()) window.restore()
        window.show()
        window.focus()
        return
      }
      // A second click while it opens must not open a second one.
      opening ??= open().finally(() => {
        opening = undefined
      })
      await opening
    },
  }
}
