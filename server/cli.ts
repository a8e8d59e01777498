/** `npm run server`: the homeserver as a process, for service managers and rigs. Contract: interop/server-process.md. */
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { enableCompileCache } from 'node:module'
import { dirname, join, resolve } from 'node:path'
import type { Config, Homeserver } from './index.ts'

const EXIT_FAILED = 1
const EXIT_BAD_CONFIG = 2
/** A stop that takes longer has failed. */
const STOP_LIMIT_MS = 4_800

// At once: whoever starts us may change their mind before we are ready.
const stopAsked = Promise.withResolvers<string>()
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => stopAsked.resolve(signal))
// Whoever read our output has gone; that is no reason to stop.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})

await main()

async function main(): Promise<void> {
  const path = configPath(process.argv.slice(2))
  if (path === undefined) return fail(EXIT_BAD_CONFIG, 'usage: npm run server -- --config /path/to/hearth.json')
  try {
    const keptCache = findCache(path)
    if (keptCache !== undefined) enableCompileCache(keptCache)
    const { loadConfig } = await import('./app/config.ts')
    const config = loadConfig(path)
    if (keptCache === undefined) cacheCompiledCode(config.data_dir)
    await run(config)
  } catch (error) {
    const isConfig = error instanceof Error && error.name === 'ConfigError'
    fail(isConfig ? EXIT_BAD_CONFIG : EXIT_FAILED, error instanceof Error ? error.message : String(error))
  }
}

async function run(config: Config): Promise<void> {
  // Loaded only now, so that the cache holds all of it.
  const door = await import('./index.ts')
  const { createLogger, keepClaimCode, pageFolder, startHomeserver, systemClock, systemRandom } = door
  const logger = createLogger(config.log.level)
  process.on('uncaughtException', (error) => {
    logger.error({ event: 'process.failed', why: error.message, stack: error.stack })
    process.exit(EXIT_FAILED)
  })
  const homeserver = await startHomeserver({
    config,
    clock: systemClock,
    random: systemRandom,
    logger,
    pageFolder,
  })
  process.on('SIGHUP', () => homeserver.reloadCertificates())
  // Before `ready`: whoever waits for that line may then read the file.
  const claimFile = keepClaimCode(config.data_dir, homeserver.claimCode())
  if (claimFile !== undefined) logger.info({ event: 'home.unclaimed', claim_code_file: claimFile })
  process.stdout.write(`${readyLine(homeserver)}\n`)
  await stopAsked.promise
  await stop(homeserver)
}

function configPath(args: readonly string[]): string | undefined {
  const [flag, value, ...others] = args
  if (flag === '--config' && value !== undefined && others.length === 0) return value
  return flag?.startsWith('--config=') && value === undefined ? flag.slice('--config='.length) : undefined
}

/** Keeps compiled code in `data_dir/cache`, which takes a good part off the next start. */
function cacheCompiledCode(dataDir: string): void {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 })
  enableCompileCache(cacheFolder(dataDir))
}

/** The cache of an earlier start, looked for before the configuration is checked: that takes code, too. */
function findCache(configFile: string): string | undefined {
  try {
    const { data_dir } = JSON.parse(readFileSync(configFile, 'utf8')) as { data_dir?: unknown }
    if (typeof data_dir !== 'string') return undefined
    const folder = cacheFolder(resolve(dirname(configFile), data_dir))
    return existsSync(folder) ? folder : undefined
  } catch {
    // What is wrong with the file is said by whoever reads it to use it.
    return undefined
  }
}

function cacheFolder(dataDir: string): string {
  return join(dataDir, 'cache')
}

function readyLine({ serverName, listeners }: Homeserver): string {
  return JSON.stringify({
    event: 'ready',
    server_name: serverName,
    listeners: listeners.map(({ address, port, serves }) => ({ address, port, serves })),
  })
}

async function stop(homeserver: Homeserver): Promise<void> {
  const limit = setTimeout(() => fail(EXIT_FAILED, `the stop took longer than ${STOP_LIMIT_MS} ms`), STOP_LIMIT_MS)
  await homeserver[Symbol.asyncDispose]()
  clearTimeout(limit)
  // Not left to an empty event loop: a signal handler or an inherited handle must not keep a stopped server.
  process.exit(0)
}

/** One line on stderr, for a person; then the end. */
function fail(status: number, why: string): never {
  process.stderr.write(`hearth: ${why.replace(/\s*\n\s*/g, ' ')}\n`)
  process.exit(status)
}
