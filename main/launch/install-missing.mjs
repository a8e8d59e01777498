// Plain JavaScript for whatever Node the machine has (20 or later): nothing is installed yet when this runs.
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './freshness.mjs'

export { root }

/** The Node that the project runs on: the `node` package's where it is installed, else the one running now. */
export function projectNode() {
  const own = join(root, 'node_modules', 'node', 'bin', process.platform === 'win32' ? 'node.exe' : 'node')
  return existsSync(own) ? own : process.execPath
}

/**
 * Installs the dependencies where they are missing or older than the lock file. Ends the process with status 1 when that fails.
 * All that it says goes to stderr: the server's stdout is for programs to read.
 */
export function installMissing() {
  if (isInstalled()) return
  console.error('Installing what is missing (a minute or two) …')
  const npm = spawnSync('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: root,
    stdio: ['ignore', process.stderr, 'inherit'],
    shell: process.platform === 'win32',
  })
  if (npm.status !== 0) {
    console.error(
      'The installation failed; its messages are above. Is npm there, and the package registry within reach?',
    )
    process.exit(1)
  }
}

function isInstalled() {
  const marker = join(root, 'node_modules', '.package-lock.json')
  if (!existsSync(marker) || !existsSync(join(root, 'node_modules', 'node', 'bin'))) return false
  if (statSync(marker).mtimeMs >= statSync(join(root, 'package-lock.json')).mtimeMs) return true
  // A fresh checkout dates its files anew: compare what is asked for with what is there.
  const wanted = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages
  const there = JSON.parse(readFileSync(marker, 'utf8')).packages
  return Object.entries(wanted).every(
    ([path, entry]) => path === '' || entry.optional || there[path]?.version === entry.version,
  )
}
