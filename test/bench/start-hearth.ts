import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

/** A Hearth in a process of its own, as anyone starts it. */
export interface Hearth {
  readonly pid: number
  readonly baseUrl: string
  readonly sharedSecret: string
  readonly dataDir: string
  readonly folder: string
  /** From the start of the process to its first answer. */
  readonly startMs: number
  stop(): Promise<void>
  /** Removes its folder. */
  remove(): void
}

const root = fileURLToPath(new URL('../..', import.meta.url))
const sharedSecret = 'for the benchmark only'

/** @param before one that has stopped: its data are used again */
export async function startHearth(before?: Hearth): Promise<Hearth> {
  const folder = before?.folder ?? mkdtempSync(join(tmpdir(), 'hearth-bench-'))
  const dataDir = join(folder, 'data')
  const config = join(folder, 'hearth.json')
  writeFileSync(
    config,
    JSON.stringify({
      server_name: 'bench.test',
      data_dir: dataDir,
      listeners: [{ address: '127.0.0.1', port: 0, serves: ['client'] }],
      registration: { shared_secret: sharedSecret },
      rate_limits: { enabled: false },
      log: { level: 'warn' },
    }),
  )
  const started = performance.now()
  const child = spawn(process.execPath, [join(root, 'server/cli.ts'), '--config', config], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = once(child, 'exit')
  const port = await readyPort(child.stdout)
  const baseUrl = `http://127.0.0.1:${port}`
  await fetch(`${baseUrl}/_matrix/client/versions`)
  return {
    pid: child.pid ?? 0,
    baseUrl,
    sharedSecret,
    dataDir,
    folder,
    startMs: performance.now() - started,
    async stop() {
      child.kill('SIGTERM')
      await exited
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}

async function readyPort(stdout: NodeJS.ReadableStream): Promise<number> {
  for await (const line of createInterface({ input: stdout })) {
    const ready = JSON.parse(line) as { event: string; listeners: readonly { port: number }[] }
    if (ready.event === 'ready' && ready.listeners[0]) return ready.listeners[0].port
  }
  throw new Error('the server ended before it was ready')
}
