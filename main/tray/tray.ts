import type { Menu, Tray } from 'electron'

/** The icon that says "the home is running", with the way back to the window and the way to stop it. */
export function createTray(deps: {
  readonly newTray: () => Tray
  readonly buildMenu: typeof Menu.buildFromTemplate
  readonly open: () => void
  readonly quit: () => void
}): Tray {
  const tray = deps.newTray()
  tray.setToolTip('Hearth: your home is running')
  tray.setContextMenu(
    deps.buildMenu([
      { label: 'Open Hearth', click: deps.open },
      { type: 'separator' },
      { label: 'Stop Hearth', click: deps.quit },
    ]),
  )
  tray.on('click', deps.open)
  return tray
}
