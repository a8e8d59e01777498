import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))

export const SERVER_NAME = 'home.test'

/** A home's server in a process of its own, to be killed and started again on the same folder and port. */
export interface HomeProcess extends AsyncDisposable {
  readonly url: () => string
  /** The code that claims the home. */
  readonly claimCode: () => Promise<string>
  /** `SIGKILL`, and waits until it is gone. */
  readonly kill: () => Promise<void>
  /** Starts it again on the same folder and port; resolves when it is ready. */
  readonly start: () => Promise<void>
  /** What it wrote to stderr. */
  readonly log: () => string
}

/** Starts a home in a temporary folder on a free port, with open registration. */
export async function startHomeProcess(): Promise<HomeProcess> {
  const folder = await mkdtemp(join(tmpdir(), 'hearth-e2e-'))
  const configFile = join(folder, 'hearth.json')
  let port = 0
  let log = ''
  let child: ChildProcess | undefined

  const start = async (): Promise<void> => {
    const config = {
      server_name: SERVER_NAME,
      data_dir: 'data',
      listeners: [{ address: '127.0.0.1', port, serves: ['client'] }],
      registration: { open: true },
      rate_limits: { enabled: false },
    }
    await writeFile(configFile, JSON.stringify(config))
    const started = spawn(process.execPath, [join(ROOT, 'server/cli.ts'), '--config', configFile], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    child = started
    started.stderr.on('data', (chunk: Buffer) => {
      log += chunk.toString()
    })
    const lines = createInterface({ input: started.stdout })
    const ended = once(started, 'exit').then(() => {
      throw new Error(`the server ended before it was ready:\n${log}`)
    })
    for await (const [line] of raceLines(lines, ended)) {
      const event = JSON.parse(String(line)) as { event: string; listeners?: { port: number }[] }
      if (event.event !== 'ready') continue
      port = event.listeners?.[0]?.port ?? port
      break
    }
    // later it may end as the test wants it to
    ended.catch(() => undefined)
  }

  const kill = async (): Promise<void> => {
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const gone = once(child, 'exit')
    child.kill('SIGKILL')
    await gone
  }

  await start()
  return {
    url: () => `http://127.0.0.1:${port}`,
    claimCode: async () => (await readFile(join(folder, 'data', 'claim-code'), 'utf8')).trim(),
    kill,
    start,
    log: () => log,
    [Symbol.asyncDispose]: async () => {
      await kill()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

async function* raceLines(
  lines: ReturnType<typeof createInterface>,
  ended: Promise<never>,
): AsyncGenerator<readonly [string]> {
  for (;;) {
    const [line] = (await Promise.race([once(lines, 'line'), ended])) as [string]
    yield [line]
  }
}
