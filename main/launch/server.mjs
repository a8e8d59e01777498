// `npm run server`: the built server where it was made from just these sources, else the sources as they are. Installs only in
// a copy that has no packages at all: a household's machine may do without those for development, and starts without asking.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { homeserver } from './builds.mjs'
import { isFresh, root } from './freshness.mjs'

/** The first that runs the server, which package.json asks for as `node`. */
const NODE_NEEDED = 24

// What starts programs is loaded where it is needed only: the server that then runs in this process should stay small.
if (!existsSync(join(root, 'node_modules'))) (await import('./install-missing.mjs')).installMissing()

if (Number.parseInt(process.versions.node, 10) >= NODE_NEEDED) {
  // Named by their place: the one is not there before the build, and both run in this very process.
  const entry = isFresh(homeserver) ? '../../server/dist/cli.js' : '../../server/cli.ts'
  await import(new URL(entry, import.meta.url).href)
} else {
  const { projectNode } = await import('./install-missing.mjs')
  if (projectNode() === process.execPath) {
    console.error(`hearth: Node ${NODE_NEEDED} or later is needed; this is ${process.version}`)
    process.exitCode = 1
  } else {
    // The system's own ran this, because there was no other yet.
    const { runProgram } = await import('./run-program.mjs')
    runProgram(projectNode(), [...process.execArgv, fileURLToPath(import.meta.url), ...process.argv.slice(2)])
  }
}
