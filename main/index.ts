// Electron's main process. Everything here is only put together; each part says its own.
import { homedir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as electron from 'electron'
import { startDesktop } from './desktop.ts'
import { findClaimCode } from './homeserver/claim-code.ts'
import { prepareHomeFolder, usualHomeFolder } from './homeserver/home-folder.ts'
import { startHome } from './homeserver/start-home.ts'
import { utilityHome } from './homeserver/utility-home.ts'
import { readStartOptions } from './launch/start-options.ts'

// Seen from main/dist/index.js, where the build puts this.
const at = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

const { app } = electron
// Unpacked, the folder of the app comes before the options.
const options = readStartOptions(process.argv.slice(app.isPackaged ? 1 : 2), { isStrict: false })
// Another home is another app: with a lock, a window and a session of its own.
if (options.home !== undefined) app.setPath('userData', join(options.home, 'app'))

startDesktop(
  electron,
  {
    page: at('../../renderer/dist'),
    preload: at('./preload.cjs'),
    icon: at('../../renderer/dist/icon-512.png'),
    trayIcon: at('../assets/tray.png'),
  },
  async () => {
    const config = await prepareHomeFolder(
      options.home ?? usualHomeFolder(process.platform, process.env, homedir()),
      options,
    )
    return startHome(
      utilityHome(electron.utilityProcess, at('./homeserver.js'), config),
      () => findClaimCode(config),
      (line) => console.error(line),
    )
  },
).catch((cause: unknown) => {
  console.error(cause)
  app.exit(1)
})
