import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { HomeProcess } from './start-home.ts'

/** As `npm run server` has it: see the server's decisions. */
const YOUNG_GENERATION = '--max-semi-space-size=4'

/** The server as a process of plain Node, by the same way as `npm run server`. */
export function childHome(config: string): HomeProcess {
  const entry = fileURLToPath(new URL('../launch/server.mjs', import.meta.url))
  const child = spawn(process.execPath, [YOUNG_GENERATION, entry, '--config', config], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  return {
    stdout: child.stdout,
    stderr: child.stderr,
    terminate: () => void child.kill('SIGTERM'),
    kill: () => void child.kill('SIGKILL'),
    onExit: (listener) => void child.once('exit', listener),
  }
}
