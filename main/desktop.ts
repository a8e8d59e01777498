import { join } from 'node:path'
import type * as ElectronModule from 'electron'
import { homeAddress } from '../shared/ipc/home-address.ts'
import { showUnreadCount } from '../shared/ipc/unread-count.ts'
import type { HomeStart, RunningHome } from './homeserver/running-home.ts'
import { register } from './ipc/register.ts'
import { APP_SCHEME, APP_SCHEME_PRIVILEGES, serveApp } from './security/app-scheme.ts'
import { limitNavigation } from './security/navigation.ts'
import { limitPermissions } from './security/permissions.ts'
import { createTray } from './tray/tray.ts'
import { createMainWindow, type MainWindow } from './windows/main-window.ts'

/** The part of Electron that the desktop shell uses. */
export type Electron = Pick<
  typeof ElectronModule,
  | 'app'
  | 'BrowserWindow'
  | 'Menu'
  | 'Tray'
  | 'ipcMain'
  | 'nativeImage'
  | 'protocol'
  | 'screen'
  | 'session'
  | 'shell'
  | 'dialog'
>

export interface DesktopFiles {
  /** The built page. */
  readonly page: string
  readonly preload: string
  readonly icon: string
  /** Beside it lies the one for dense displays, `@2x` before the dot. */
  readonly trayIcon: string
}

/**
 * Order of start: the lock, the security rules, the home's server, the window. A second start only shows the first one's window.
 * @param startHome starts the home's server in a process of its own; rejects where that cannot even be tried
 */
export async function startDesktop(
  electron: Electron,
  files: DesktopFiles,
  startHome: () => Promise<HomeStart>,
): Promise<void> {
  const { app } = electron
  if (!app.requestSingleInstanceLock()) {
    app.quit()
    return
  }
  app.enableSandbox()
  electron.protocol.registerSchemesAsPrivileged([APP_SCHEME_PRIVILEGES])
  app.on('web-contents-created', (_event, contents) => {
    limitNavigation(contents, (url) => {
      electron.shell.openExternal(url).catch(report)
    })
  })
  await app.whenReady()
  setMenu(electron.Menu)
  limitPermissions(electron.session.defaultSession)
  electron.protocol.handle(APP_SCHEME, (request) => serveApp(request, files.page))

  let home: RunningHome
  const stop = { isWanted: false }
  try {
    const start = await startHome()
    stopWithApp(app, start, stop)
    home = await start.ready
  } catch (cause) {
    // Whoever quits while it starts knows why it is not there.
    if (stop.isWanted) return
    electron.dialog.showErrorBox('Hearth could not start', cause instanceof Error ? cause.message : String(cause))
    app.exit(1)
    return
  }
  home.onExit((why) => {
    electron.dialog.showErrorBox('Your home has stopped', why)
    app.exit(1)
  })
  answerPage(electron, home)
  await openWindow(electron, files)
}

/** Without a menu of our own Electron shows one with developer tools; macOS also needs it for the keys of copy and paste. */
function setMenu(menu: Electron['Menu']): void {
  menu.setApplicationMenu(
    process.platform === 'darwin'
      ? menu.buildFromTemplate([{ role: 'appMenu' }, { role: 'editMenu' }, { role: 'windowMenu' }])
      : null,
  )
}

/** Quitting waits until the server has put everything away. */
function stopWithApp(app: Electron['app'], home: HomeStart, stop: { isWanted: boolean }): void {
  let isStopped = false
  app.on('before-quit', (event) => {
    if (isStopped) return
    event.preventDefault()
    // Asked again while it stops, there is nothing to do but wait.
    if (stop.isWanted) return
    stop.isWanted = true
    home
      .stop()
      .catch(report)
      .finally(() => {
        isStopped = true
        app.quit()
      })
  })
}

function answerPage({ ipcMain, app }: Electron, home: RunningHome): void {
  register(ipcMain, homeAddress, async () => ({ url: home.url, claimCode: home.claimCode() }))
  register(ipcMain, showUnreadCount, async (count) => {
    app.setBadgeCount(count)
    return null
  })
}

async function openWindow(electron: Electron, files: DesktopFiles): Promise<void> {
  const { app } = electron
  const window: MainWindow = createMainWindow({
    open: (options) => new electron.BrowserWindow(options),
    screen: electron.screen,
    preload: files.preload,
    icon: files.icon,
    boundsFile: join(app.getPath('userData'), 'window.json'),
    onProblem: report,
  })
  const show = (): void => {
    window.show().catch(report)
  }
  createTray({
    newTray: () => new electron.Tray(electron.nativeImage.createFromPath(files.trayIcon)),
    buildMenu: (template) => electron.Menu.buildFromTemplate(template),
    open: show,
    quit: () => app.quit(),
  })
  app.on('second-instance', show)
  app.on('activate', show)
  // The home goes on behind its tray icon when the window is closed.
  app.on('window-all-closed', () => undefined)
  await window.show()
}

function report(cause: unknown): void {
  console.error(
    JSON.stringify({ event: 'desktop.problem', why: cause instanceof Error ? cause.message : String(cause) }),
  )
}
