// `npm start`: installs what is missing, builds what is stale, starts Hearth.
import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { buildStale } from './build-stale.mjs'
import { installMissing, projectNode, root } from './install-missing.mjs'

installMissing()
buildStale()

const electron = findElectron()
const hasDisplay = process.platform !== 'linux' || process.env.DISPLAY || process.env.WAYLAND_DISPLAY
if (electron && hasDisplay) run(electron, ['.'])
else {
  console.log(
    electron
      ? 'There is no display for a window, so Hearth runs as a server with its page in a browser.'
      : "Electron's program is not installed (`npx install-electron` fetches it), so Hearth opens in your browser instead of a window.",
  )
  run(projectNode(), ['main/dist/browser-home.js'])
}

function run(program, args) {
  const child = spawn(program, [...args, ...process.argv.slice(2)], { cwd: root, stdio: 'inherit' })
  let isStopping = false
  // A signal to this process alone must reach the home as well; the terminal's reach both.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => {
      isStopping = true
      child.kill(signal)
    })
  }
  // Ended by the signal itself, it had nothing to stop yet.
  child.on('exit', (code) => process.exit(code ?? (isStopping ? 0 : 1)))
  child.on('error', (error) => {
    console.error(`${program} cannot be run: ${error.message}`)
    process.exit(1)
  })
}

/** Path of Electron's program; `undefined` where its package is there without it. */
function findElectron() {
  const folder = join(root, 'node_modules', 'electron')
  const pathFile = join(folder, 'path.txt')
  if (!existsSync(pathFile)) return undefined
  const program = join(folder, 'dist', readFileSync(pathFile, 'utf8').trim())
  return existsSync(program) ? program : undefined
}
