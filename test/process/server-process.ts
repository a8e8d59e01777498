import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { watchedServers } from '../support/watched-servers.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
/** Far more than a start may take, so that a slow machine does not fail a test. */
const READY_TIMEOUT_MS = 30_000

export interface ReadyListener {
  readonly address: string
  readonly port: number
  readonly serves: readonly string[]
}

export interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** `npm run --silent server -- --config …`, in a process group of its own. */
export class ServerProcess {
  readonly child: ChildProcess
  readonly exited: Promise<Exit>
  stdout = ''
  stderr = ''
  readonly #watchers = new Set<() => void>()

  constructor(args: readonly string[]) {
    this.child = spawn('npm', ['run', '--silent', 'server', '--', ...args], {
      cwd: root,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text
      this.#changed()
    })
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text
      this.#changed()
    })
    this.exited = new Promise((resolve) => {
      // `close` and not `exit`: all output has come.
      this.child.once('close', (code, signal) => {
        resolve({ code, signal })
        this.#changed()
      })
    })
  }

  #changed(): void {
    for (const watcher of this.#watchers) watcher()
  }

  /** Resolves when the condition holds, looked at whenever there is new output. */
  until(condition: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => finish(new Error(`no such output in time; stderr: ${this.stderr}`)),
        READY_TIMEOUT_MS,
      )
      const finish = (error?: Error): void => {
        clearTimeout(timer)
        this.#watchers.delete(check)
        if (error) reject(error)
        else resolve()
      }
      const check = (): void => {
        if (condition()) finish()
        else if (this.child.exitCode !== null) finish(new Error(`it ended; stderr: ${this.stderr}`))
      }
      this.#watchers.add(check)
      check()
    })
  }

  /** The listeners of the `ready` line. */
  async ready(): Promise<readonly ReadyListener[]> {
    await this.until(() => this.stdout.includes('\n'))
    const { listeners } = JSON.parse(this.stdout.split('\n', 1)[0] as string) as { listeners: readonly ReadyListener[] }
    for (const { address, port } of listeners) watchedServers.add(`http://${address}:${port}`)
    return listeners
  }

  /** To every process of the group, as a service manager may do. */
  signalGroup(signal: NodeJS.Signals): void {
    if (this.child.pid !== undefined) process.kill(-this.child.pid, signal)
  }

  /** The process IDs of the group's `node` that is the server itself. */
  get logLines(): readonly Record<string, unknown>[] {
    return this.stderr
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as Record<string, unknown>)
  }
}

/** A folder with a configuration, and the servers started on it; all gone at the end. */
export class Rig implements AsyncDisposable {
  readonly folder: string
  readonly #servers: ServerProcess[] = []

  private constructor(folder: string) {
    this.folder = folder
  }

  static async make(): Promise<Rig> {
    return new Rig(await mkdtemp(join(tmpdir(), 'hearth-process-')))
  }

  get dataDir(): string {
    return join(this.folder, 'alpha-data')
  }

  /** Writes the configuration: these keys, over those of a server on one free port. */
  async configure(keys: Readonly<Record<string, unknown>> = {}): Promise<string> {
    const path = join(this.folder, 'hearth.json')
    const config = {
      server_name: 'alpha.test',
      data_dir: 'alpha-data',
      listeners: [{ address: '127.0.0.1', port: 0 }],
      registration: { open: true },
      ...keys,
    }
    await writeFile(path, JSON.stringify(config))
    return path
  }

  start(config: string): ServerProcess {
    const server = new ServerProcess(['--config', config])
    this.#servers.push(server)
    return server
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const server of this.#servers) {
      try {
        server.signalGroup('SIGKILL')
      } catch (error) {
        // Nobody of the group is left.
        if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
      }
      await server.exited
    }
    await rm(this.folder, { recursive: true, force: true })
  }
}
