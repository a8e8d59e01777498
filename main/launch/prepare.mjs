// After `npm ci` and `npm install`: builds what starts, so that the first start need not wait for it.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { tryBuildStale } from './build-stale.mjs'
import { root } from './freshness.mjs'

// Without the development packages there is nothing to build with: the server then runs from its sources.
if (existsSync(join(root, 'node_modules/vite')) && !tryBuildStale()) {
  console.error('Something could not be built; the messages are above. The packages are installed all the same.')
}
