// Builds the page, the server and the desktop shell where their sources changed since the last build.
import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { desktopShell, homeserver, page } from './builds.mjs'
import { beginMark, isFresh, root } from './freshness.mjs'
import { projectNode } from './install-missing.mjs'

/** Builds what is not there or not made from just these sources. Ends the process with status 1 when that fails. */
export function buildStale(builds = [page, homeserver, desktopShell]) {
  if (!tryBuildStale(builds)) process.exit(1)
}

/** @returns whether all is there now; what went wrong has been printed */
export function tryBuildStale(builds = [page, homeserver, desktopShell]) {
  return builds.map((build) => isFresh(build) || isBuilt(build)).every(Boolean)
}

function isBuilt(build) {
  console.log(`Building ${build.name} …`)
  const writeMark = beginMark(build)
  if (build.keepsOlderFiles) removeOldFiles(join(root, build.out))
  for (const mode of build.modes) {
    const vite = spawnSync(
      projectNode(),
      [
        join(root, 'node_modules/vite/bin/vite.js'),
        'build',
        '--config',
        build.config,
        '--mode',
        mode,
        '--logLevel',
        'warn',
      ],
      { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] },
    )
    if (vite.status !== 0) return false
  }
  writeMark()
  return true
}

const KEPT_MS = 7 * 24 * 3_600_000

/** Before a build, which writes anew all that it needs: what a server started lately may still load stays. */
export function removeOldFiles(folder) {
  mkdirSync(folder, { recursive: true })
  for (const name of readdirSync(folder)) {
    const path = join(folder, name)
    if (statSync(path).mtimeMs < Date.now() - KEPT_MS) rmSync(path, { recursive: true })
  }
}
