import { PassThrough, type Readable } from 'node:stream'
import type { UtilityProcess, utilityProcess } from 'electron'
import type { HomeProcess } from './start-home.ts'

/** The server in Electron's utility process: plain Node, apart from the windows. */
export function utilityHome(electron: Pick<typeof utilityProcess, 'fork'>, entry: string, config: string): HomeProcess {
  const child: UtilityProcess = electron.fork(entry, ['--config', config], {
    stdio: ['ignore', 'pipe', 'pipe'],
    serviceName: 'Hearth home',
  })
  return {
    stdout: piped(child.stdout),
    stderr: piped(child.stderr),
    // Its entry takes any message for this; `kill` would cut it off on Windows.
    terminate: () => child.postMessage('stop'),
    kill: () => void child.kill(),
    onExit: (listener) => void child.once('exit', listener),
  }
}

/** Electron types the pipes as streams of any kind, and as absent where none were asked for. */
function piped(stream: NodeJS.ReadableStream | null): Readable {
  const through = new PassThrough()
  if (stream) stream.pipe(through)
  else through.end()
  return through
}
