// `npm start`: installs what is missing, builds what is stale, starts Hearth.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { buildStale } from './build-stale.mjs'
import { installMissing, projectNode, root } from './install-missing.mjs'
import { runProgram } from './run-program.mjs'

installMissing()
buildStale()

const electron = findElectron()
const options = process.argv.slice(2)
const hasDisplay = process.platform !== 'linux' || process.env.DISPLAY || process.env.WAYLAND_DISPLAY
if (electron && hasDisplay) runProgram(electron, [root, ...options])
else {
  console.log(
    electron
      ? 'There is no display for a window, so Hearth runs as a server with its page in a browser.'
      : "Electron's program is not installed (`npx install-electron` fetches it), so Hearth opens in your browser instead of a window.",
  )
  runProgram(projectNode(), [join(root, 'main/dist/browser-home.js'), ...options])
}

/** Path of Electron's program; `undefined` where its package is there without it. */
function findElectron() {
  const folder = join(root, 'node_modules', 'electron')
  const pathFile = join(folder, 'path.txt')
  if (!existsSync(pathFile)) return undefined
  const program = join(folder, 'dist', readFileSync(pathFile, 'utf8').trim())
  return existsSync(program) ? program : undefined
}
