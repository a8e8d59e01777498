/** Start and stop, in their order. */
import { mkdirSync, statSync } from 'node:fs'
import type { RequestListener } from 'node:http'
import { join } from 'node:path'
import { createPage, type Page } from '../api/web/index.ts'
import type { LookupSrv } from '../federation/index.ts'
import { type EdgeOptions, mount } from '../http/mount.ts'
import { AddressGuard, createOutbound, type Listener, type LookupAll, listen } from '../net/index.ts'
import type { Clock, Environment, Logger, Random } from '../observe/environment.ts'
import type { Metrics } from '../observe/metrics.ts'
import { openStore, type Store, StoreDamaged, StoreLocked, UnknownFormat } from '../store/index.ts'
import { type Composed, compose } from './compose.ts'
import type { Config, ListenerConfig } from './config.ts'
import { openIdentity } from './identity.ts'
import { readInputs } from './inputs.ts'
import { type BoundListener, baseUrlOf, federationNameOf } from './public-names.ts'
import { StartError } from './start-error.ts'

export interface StartOptions {
  readonly config: Config
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  /** Opens the store in this folder, keeping other processes out; without it the store on the disk. */
  readonly openStore?: (folder: string) => Promise<Store>
  /** Where the built page is. */
  readonly pageFolder: string
  /** Only for tests, whose servers have names that nobody else knows; otherwise the system's. */
  readonly names?: { readonly lookup: LookupAll; readonly lookupSrv: LookupSrv }
  /** log2 of the cost of hashing a password; only for tests, which make many accounts. */
  readonly passwordCostLog2?: number
}

/** A homeserver that runs. Disposing of it stops it gracefully, within 5 s; doing so again changes nothing. */
export interface Homeserver extends AsyncDisposable {
  readonly serverName: string
  readonly listeners: readonly BoundListener[]
  /** Where clients reach it; `null` where no listener serves them. */
  readonly baseUrl: string | null
  /** What whoever claims this home must know, for the app that opens the page; `null` once it is claimed. */
  claimCode(): string | null
  /** Reads the certificates of all listeners again; where that fails, the old ones stay. */
  reloadCertificates(): void
}

interface Bound extends BoundListener {
  readonly listener: Listener
}

/** How long running requests get at the stop; closing the store comes after it. */
const GRACE_MS = 3_000

/**
 * Starts a homeserver: stored state is loaded and every listener is bound before anything is answered.
 * @throws StartError where a person can mend it; other errors of the system as they are
 */
export async function startHomeserver(options: StartOptions): Promise<Homeserver> {
  const { config, clock, random, logger } = options
  await using undo = new AsyncDisposableStack()
  const inputs = await readInputs(config)
  makeDataDir(config.data_dir)
  const store = undo.use(await openStoreOf(options))
  const identity = openIdentity(config.data_dir, config.server_name, random)
  const environment: Environment = { serverName: config.server_name, clock, random, logger }
  const bound: Bound[] = []
  const wellKnown = {
    baseUrl: () => baseUrlOf(config, bound),
    federationName: () => federationNameOf(config, bound),
    support: config.support,
  }
  const guard = new AddressGuard(config.outbound.allow_addresses)
  const outbound = undo.use(createOutbound({ guard, trustedCa: inputs.trustedCa, lookup: options.names?.lookup }))
  const { passwordCostLog2, names } = options
  const lookupSrv = names?.lookupSrv
  const composed = undo.use(
    await compose({ config, environment, identity, store, inputs, outbound, wellKnown, lookupSrv, passwordCostLog2 }),
  )
  const metrics = await startMetrics(config, composed)
  if (metrics) undo.use(metrics)
  const page = config.web.enabled ? createPage(options.pageFolder) : undefined

  const stopping = new AbortController()
  undo.defer(() => stopListeners(bound, stopping))
  const gate = { isOpen: false }
  const appFor = mount(edgeOptions({ options, composed, metrics, page, stopping: stopping.signal }))
  for (const at of config.listeners) {
    bound.push(await bind(at, behind(gate, appFor(at.serves).callback())))
  }
  gate.isOpen = true

  const running = undo.move()
  let stopped: Promise<void> | undefined
  return {
    serverName: config.server_name,
    listeners: bound,
    baseUrl: baseUrlOf(config, bound),
    claimCode: composed.claimCode,
    reloadCertificates: () => reloadCertificates(bound, logger),
    [Symbol.asyncDispose]: () => {
      stopped ??= running.disposeAsync()
      return stopped
    },
  }
}

async function openStoreOf({ config, logger, openStore: openOther }: StartOptions): Promise<Store> {
  const dir = join(config.data_dir, 'store')
  try {
    return await (openOther ? openOther(dir) : openStore({ dir, logger }))
  } catch (cause) {
    if (cause instanceof StoreLocked) {
      throw new StartError(`data_dir ${config.data_dir} is in use by another process: one at a time`, { cause })
    }
    const isKnown = cause instanceof StoreDamaged || cause instanceof UnknownFormat
    throw isKnown ? new StartError(cause.message, { cause }) : cause
  }
}

function makeDataDir(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    if (!statSync(folder).isDirectory()) throw new Error('it is not a folder')
  } catch (cause) {
    throw new StartError(`data_dir ${folder} cannot be made: ${(cause as Error).message}`, { cause })
  }
}

/** Loaded only where it is asked for. */
async function startMetrics(config: Config, composed: Composed): Promise<Metrics | undefined> {
  if (!config.metrics) return undefined
  const { address, port } = config.metrics.listener
  const { startMetrics: start } = await import('../observe/metrics.ts')
  try {
    return await start({ address, port }, composed.measures)
  } catch (cause) {
    throw new StartError(`metrics.listener: ${(cause as Error).message}`, { cause })
  }
}

function edgeOptions(parts: {
  options: StartOptions
  composed: Composed
  metrics: Metrics | undefined
  page: Page | undefined
  stopping: AbortSignal
}): EdgeOptions {
  const { options, composed, metrics, page, stopping } = parts
  const { clock, config, logger } = options
  const isDebug = config.log.level === 'debug'
  return {
    routes: composed.routes,
    authenticate: composed.authenticate,
    isAppserviceToken: composed.isAppserviceToken,
    doorkeeper: composed.doorkeeper,
    rateLimits: composed.rateLimits,
    clock,
    logger,
    stopping,
    ...(page && { page }),
    ...((metrics || isDebug) && {
      onServed(served) {
        metrics?.served(served)
        if (isDebug) logger.debug({ event: 'http.served', ...served })
      },
    }),
  }
}

/** Answers 503 to whoever is so early that another listener is not bound yet. */
function behind(gate: { readonly isOpen: boolean }, handle: RequestListener): RequestListener {
  return (request, response) => {
    if (gate.isOpen) handle(request, response)
    else response.writeHead(503, { 'retry-after': '1', connection: 'close' }).end()
  }
}

async function bind(at: ListenerConfig, handle: RequestListener): Promise<Bound> {
  try {
    const listener = await listen(at, handle)
    return { address: at.address, port: listener.port, serves: at.serves, isTls: at.tls !== null, listener }
  } catch (cause) {
    throw new StartError(`cannot listen on ${at.address} port ${at.port}: ${(cause as Error).message}`, { cause })
  }
}

function reloadCertificates(bound: readonly Bound[], logger: Logger): void {
  for (const { listener, address, port, isTls } of bound) {
    if (!isTls) continue
    try {
      listener.reloadCertificate()
      logger.info({ event: 'tls.reloaded', address, port })
    } catch (error) {
      // The old certificate still serves; a broken new one must not stop a running server.
      logger.error({ event: 'tls.reload-failed', address, port, why: (error as Error).message })
    }
  }
}

/** No new connections; long polls answer; running requests end, or are cut off when their time is up. */
async function stopListeners(bound: readonly Bound[], stopping: AbortController): Promise<void> {
  const closed = bound.map(({ listener }) => listener.close())
  stopping.abort()
  const grace = setTimeout(() => {
    for (const { listener } of bound) listener.cut()
  }, GRACE_MS)
  await Promise.all(closed)
  clearTimeout(grace)
}
