// `npm test`: installs what is missing, builds the page, runs every test, and ends with the line `N passed, N failed`.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { buildStale } from '../main/launch/build-stale.mjs'
import { installMissing, projectNode, root } from '../main/launch/install-missing.mjs'
import { findChromium } from './support/chromium.mjs'

const totals = { passed: 0, failed: 0, skipped: 0 }
// Also where the installation or the build ends this process.
process.on('exit', (status) => {
  if (totals.passed + totals.failed === 0) console.error('No test ran.')
  if (totals.skipped > 0) console.log(`${totals.skipped} skipped`)
  const failed = Math.max(totals.failed, status !== 0 || totals.passed === 0 ? 1 : 0)
  console.log(`${totals.passed} passed, ${failed} failed`)
  process.exitCode = failed === 0 ? 0 : 1
})

installMissing()
buildStale()

const reports = mkdtempSync(join(tmpdir(), 'hearth-test-'))
const node = projectNode()
const env = { ...process.env, PATH: `${dirname(node)}${delimiter}${process.env.PATH}` }

run('units and servers', 'test/vitest.config.ts')
if (findChromium()) run('browsers', 'test/e2e/vitest.config.ts')
else {
  console.log(
    'No Chromium was found, so the browser tests did not run. Install it (Debian: apt-get install chromium) or name it in CHROMIUM_PATH.',
  )
  if (process.env.CI) totals.failed += 1
}
rmSync(reports, { recursive: true, force: true })

function run(name, config) {
  const report = join(reports, `${name.replaceAll(' ', '-')}.json`)
  const filters = process.argv.slice(2)
  const vitest = spawnSync(
    node,
    [
      join(root, 'node_modules/vitest/vitest.mjs'),
      'run',
      '--config',
      config,
      '--reporter=default',
      '--reporter=json',
      `--outputFile.json=${report}`,
      // What is asked for may lie in one of the two runs only.
      ...(filters.length > 0 ? ['--passWithNoTests', ...filters] : []),
    ],
    { cwd: root, env, stdio: ['ignore', 'inherit', 'inherit'] },
  )
  const counts = readCounts(report)
  totals.passed += counts.numPassedTests
  totals.skipped += counts.numPendingTests + counts.numTodoTests
  // A suite that breaks before its tests, or a runner that dies, counts as one failure.
  totals.failed += counts.numFailedTests > 0 || vitest.status === 0 ? counts.numFailedTests : 1
}

function readCounts(report) {
  try {
    return JSON.parse(readFileSync(report, 'utf8'))
  } catch (cause) {
    console.error(`The test runner left no report: ${cause.message}`)
    return { numPassedTests: 0, numFailedTests: 0, numPendingTests: 0, numTodoTests: 0 }
  }
}
