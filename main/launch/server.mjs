// `npm run server`: the built server where it was made from just these sources, else the sources as they are. Installs only in
// a copy that has no packages at all: a household's machine may do without those for development, and starts without asking.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { homeserver } from './builds.mjs'
import { isFresh } from './freshness.mjs'
import { installMissing, projectNode, root } from './install-missing.mjs'
import { runProgram } from './run-program.mjs'

/** The first that runs the server, which package.json asks for as `node`. */
const NODE_NEEDED = 24

if (!existsSync(join(root, 'node_modules'))) installMissing()

if (Number.parseInt(process.versions.node, 10) >= NODE_NEEDED) {
  // Named by their place: the one is not there before the build, and both run in this very process.
  const entry = isFresh(homeserver) ? '../../server/dist/cli.js' : '../../server/cli.ts'
  await import(new URL(entry, import.meta.url).href)
} else if (projectNode() !== process.execPath) {
  // The system's own ran this, because there was no other yet.
  runProgram(projectNode(), [...process.execArgv, fileURLToPath(import.meta.url), ...process.argv.slice(2)])
} else {
  console.error(`hearth: Node ${NODE_NEEDED} or later is needed; this is ${process.version}`)
  process.exitCode = 1
}
