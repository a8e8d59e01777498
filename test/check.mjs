// `npm run check`: every check, one after the other, with its time; all run even when one fails.
import { spawnSync } from 'node:child_process'
import { installMissing, root } from '../main/launch/install-missing.mjs'

const checks = ['format:check', 'lint', 'lint:promises', 'types', 'arrows', 'dead']
const failed = []
installMissing()

for (const name of checks) {
  const started = Date.now()
  const result = spawnSync('npm', ['run', '--silent', name], {
    cwd: root,
    stdio: 'inherit',
    shell: process.platform === 'win32',
  })
  console.log(`${result.status === 0 ? 'ok  ' : 'FAIL'} ${name} (${((Date.now() - started) / 1000).toFixed(1)} s)`)
  if (result.status !== 0) failed.push(name)
}
if (failed.length > 0) {
  console.error(`Failed: ${failed.join(', ')}`)
  process.exitCode = 1
}
