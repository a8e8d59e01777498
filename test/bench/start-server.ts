import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as wait } from 'node:timers/promises'
import { buildStale } from '../../main/launch/build-stale.mjs'
import { homeserver } from '../../main/launch/builds.mjs'
import { root } from '../../main/launch/freshness.mjs'
import { findListeningProcess, ProcessUsage } from './process-usage.ts'

/** A homeserver that was started for the benchmark. */
export interface Started {
  readonly pid: number
  readonly baseUrl: string
  /** From the start of the process to its first answer. */
  readonly start: { readonly wallMs: number; readonly cpuMs: number }
  stop(): Promise<void>
}

/** Where a Hearth for the benchmark lives. */
export interface HearthHome extends Disposable {
  readonly dataDir: string
  readonly sharedSecret: string
  /** In a process of its own, as `npm run server` starts it; again and again with the same data. */
  start(): Promise<Started>
}

/** @param registration an application service's registration file, as JSON, which is YAML as well */
export function makeHearthHome(registration?: object): HearthHome {
  buildStale([homeserver])
  const folder = mkdtempSync(join(tmpdir(), 'hearth-bench-'))
  const dataDir = join(folder, 'data')
  const config = join(folder, 'hearth.json')
  const sharedSecret = 'for the benchmark only'
  const services = join(folder, 'services')
  if (registration) {
    mkdirSync(services)
    writeFileSync(join(services, 'bench.yaml'), JSON.stringify(registration))
  }
  writeFileSync(
    config,
    JSON.stringify({
      server_name: 'bench.test',
      data_dir: dataDir,
      listeners: [{ address: '127.0.0.1', port: 0, serves: ['client'] }],
      registration: { shared_secret: sharedSecret },
      rate_limits: { enabled: false },
      log: { level: 'warn' },
      ...(registration && { application_services_dir: services }),
    }),
  )
  return {
    dataDir,
    sharedSecret,
    start: () => start('/bin/sh', ['-c', `${serverScript()} --config "$0"`, config], readyUrl),
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  }
}

/**
 * Any homeserver.
 * @param command for the system's shell; it stays in the foreground
 */
export function startByCommand(command: string, baseUrl: string): Promise<Started> {
  return start('/bin/sh', ['-c', `exec ${command}`], () => answeringUrl(baseUrl))
}

async function start(
  program: string,
  args: readonly string[],
  urlOf: (child: ChildProcess) => Promise<string>,
): Promise<Started> {
  const began = performance.now()
  // As npm does it: from the top folder, with the Node that runs this.
  const PATH = [dirname(process.execPath), process.env.PATH].join(delimiter)
  const env = { ...process.env, PATH }
  const child = spawn(program, args, { cwd: root, env, stdio: ['ignore', 'pipe', 'inherit'] })
  const exited = once(child, 'exit')
  const ended = exited.then(() => Promise.reject(new Error(`${program} ended before it answered`)))
  const baseUrl = await Promise.race([urlOf(child), ended])
  await fetch(`${baseUrl}/_matrix/client/versions`)
  const wallMs = performance.now() - began
  const pid = findListeningProcess(Number(new URL(baseUrl).port)) ?? child.pid ?? 0
  return {
    pid,
    baseUrl,
    start: { wallMs, cpuMs: new ProcessUsage(pid).cpuMs() },
    async stop() {
      child.kill('SIGTERM')
      await exited
    },
  }
}

/** What `npm run server` runs: npm's own start is not the server's. */
function serverScript(): string {
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: { server: string } }
  return scripts.server
}

async function readyUrl({ stdout }: ChildProcess): Promise<string> {
  for await (const line of createInterface({ input: stdout as NodeJS.ReadableStream })) {
    const ready = JSON.parse(line) as { event: string; listeners: readonly { port: number }[] }
    if (ready.event === 'ready' && ready.listeners[0]) return `http://127.0.0.1:${ready.listeners[0].port}`
  }
  throw new Error('the server ended before it was ready')
}

/** A server that says nothing when it is ready has to be asked. */
async function answeringUrl(baseUrl: string): Promise<string> {
  for (;;) {
    try {
      if ((await fetch(`${baseUrl}/_matrix/client/versions`)).ok) return baseUrl
    } catch {
      // Nobody listens yet.
    }
    await wait(5)
  }
}
