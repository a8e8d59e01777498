import type { Environment } from '../../observe/environment.ts'
import type { Store } from '../../store/index.ts'
import { type Backoff, retryDelayMs } from '../backoff.ts'
import type { FederationClient, Outbox, OwedPdus } from '../contract.ts'
import { Checkpoints } from './checkpoints.ts'
import { Destination } from './destination.ts'
import { DurableEdus } from './durable-edus.ts'
import { Slots } from './slots.ts'
import { type DestinationStatus, statusOfAll } from './status.ts'

/** Transactions under way at the same time: with servers that answer promptly, and with those that hang or fail. */
const SLOTS = { prompt: 64, slow: 512, promptMs: 2_000 }
/** A server that speaks to us while ours do not reach it is tried this often at most. */
const BETWEEN_TRIES_MS = 10_000
/** When nothing was confirmed for so long and then something is, it may have been our own network that was gone. */
const DARK_MS = 120_000
/** Rooms may name any number of servers; those beyond this many that do not keep up hear of things by the next event. */
const MAX_DESTINATIONS = 20_000
/** After a start those that failed before it are tried again within this time: not all of them in one moment. */
const SPREAD_MS = 30_000
const SPREAD_MS_PER_DESTINATION = 20

export interface OutboxStats {
  /** Servers that something waits for, and how many of them fail. */
  readonly destinations: number
  readonly failing: number
  /** Rows that wait. */
  readonly edus: number
  /** Confirmed transactions since the start. */
  readonly transactions: number
}

/** The outbox, and what only `app/` may do with it. */
export interface OutboxService extends Outbox, AsyncDisposable {
  /** Starts sending, with what a stop has left. To be called once, after `pdusReady` is told of all new events. */
  begin(owed: OwedPdus): Promise<void>
  /** Those that something is to be sent to; the longest failing first. */
  list(): readonly DestinationStatus[]
  /** Tries a destination again now. @returns whether there is something to be sent to it */
  retry(server: string): boolean
  /** For metrics, as it is whenever a number is read. */
  readonly stats: OutboxStats
}

/** Spec: server-server-api §Transactions. */
export function createOutbox(parts: {
  readonly environment: Environment
  readonly store: Store
  readonly client: FederationClient
  readonly backoff: Backoff
  /** Whether this home has nothing to do with a server. */
  readonly isBlocked: (serverName: string) => boolean
}): OutboxService {
  const { environment, store, backoff } = parts
  const { clock, logger, random, serverName } = environment
  const durable = new DurableEdus(store, environment)
  const slots = new Slots(clock, SLOTS)
  const active = new Map<string, Destination>()
  const checkpoints = new Checkpoints(store, environment, active)
  const closing = new AbortController()
  const runs = new Set<Promise<void>>()
  /** Tells EDUs of this process from those of others in transaction IDs. */
  const instance = random.bytes(9).toString('base64url')
  let offeredCount = 0
  let transactions = 0
  let confirmedTs = clock.now()
  let given: OwedPdus | undefined
  let isBegun = false

  const owed = (): OwedPdus => {
    if (!given) throw new Error('the outbox has not begun')
    return given
  }

  const isSentTo = (name: string): boolean =>
    name !== serverName && !parts.isBlocked(name) && (active.has(name) || active.size < MAX_DESTINATIONS)

  function destinationOf(name: string, position = checkpoints.newest): Destination {
    const known = active.get(name)
    if (known) return known
    const at = { cursor: position, wanted: position }
    const made = new Destination({ environment, client: parts.client, durable, owed }, name, at)
    active.set(name, made)
    return made
  }

  function wake(destination: Destination): void {
    if (!isBegun || closing.signal.aborted || destination.isRunning || destination.cancelRetry) return
    goNow(destination)
    destination.isRunning = true
    const run = sendAll(destination).finally(() => {
      runs.delete(run)
      destination.isRunning = false
      if (destination.hasWork) wake(destination)
      else if (!destination.cancelRetry && !destination.cancelDelay) active.delete(destination.name)
    })
    runs.add(run)
  }

  /** What waits for company waits no more. */
  function goNow(destination: Destination): void {
    destination.cancelDelay?.()
    destination.cancelDelay = undefined
  }

  /** Sends until there is nothing left or a try has failed. Never rejects. */
  async function sendAll(destination: Destination): Promise<void> {
    while (destination.hasWork && !closing.signal.aborted) {
      const retryTs = backoff.retryTs(destination.name)
      if (retryTs !== undefined) return pause(destination, retryTs)
      try {
        if (!(await sendOne(destination))) return
      } catch (error) {
        if (closing.signal.aborted) return
        return failed(destination, error)
      }
    }
  }

  async function sendOne(destination: Destination): Promise<boolean> {
    const slot = await slots.take(destination.failures > 0 ? 'slow' : 'prompt')
    try {
      if (closing.signal.aborted || !(await destination.sendOne(closing.signal))) return false
    } finally {
      slot.release()
    }
    transactions += 1
    if (destination.failures > 0) {
      const failedForMs = clock.now() - (destination.failingSinceTs ?? clock.now())
      logger.info({ event: 'federation.destination-back', destination: destination.name, failedForMs })
    }
    destination.failures = 0
    destination.failingSinceTs = null
    destination.why = undefined
    const beforeTs = confirmedTs
    confirmedTs = clock.now()
    if (confirmedTs - beforeTs > DARK_MS) tryThoseFailingSince(beforeTs)
    checkpoints.soon()
    return true
  }

  async function failed(destination: Destination, error: unknown): Promise<void> {
    destination.failures += 1
    destination.failingSinceTs ??= clock.now()
    destination.why = error instanceof Error ? error.message : String(error)
    const { name, failures, why } = destination
    const retryTs = backoff.retryTs(name) ?? clock.now() + retryDelayMs(failures, random.number())
    if (failures === 1) {
      logger.warn({ event: 'federation.destination-failing', destination: name, why, delayMs: retryTs - clock.now() })
    }
    pause(destination, retryTs)
    checkpoints.soon()
    await destination.notSent()
  }

  function pause(destination: Destination, retryTs: number): void {
    destination.retryTs = retryTs
    destination.cancelRetry = clock.after(retryTs - clock.now(), () => resume(destination))
  }

  function resume(destination: Destination): void {
    destination.cancelRetry?.()
    destination.cancelRetry = undefined
    destination.retryTs = undefined
    wake(destination)
  }

  function heardFrom(server: string): void {
    const destination = active.get(server)
    if (!destination?.cancelRetry) return
    const soonestTs = destination.lastTryTs + (destination.failures > 1 ? BETWEEN_TRIES_MS : 0)
    if (soonestTs <= clock.now()) resume(destination)
    else if (soonestTs < (destination.retryTs ?? 0)) {
      destination.cancelRetry()
      pause(destination, soonestTs)
    }
  }

  function tryThoseFailingSince(sinceTs: number): void {
    for (const { name, failingSinceTs } of [...active.values()]) {
      if (failingSinceTs === null || failingSinceTs < sinceTs) continue
      backoff.heardFrom(name)
      heardFrom(name)
    }
  }

  const endBack = backoff.onBack(heardFrom)

  return {
    pdusReady(destinations, position) {
      for (const name of destinations) {
        if (!isSentTo(name)) continue
        const destination = destinationOf(name, position - 1)
        destination.want(position)
        wake(destination)
      }
      checkpoints.reached(position)
    },

    writeEdu: (destination, edu, key) => durable.write(destination, edu, key),

    edusReady(destinations) {
      for (const name of destinations) {
        durable.ready(name)
        durable.trim(name).catch((error: unknown) => logger.error({ event: 'federation.edus-not-trimmed', error }))
        if (isSentTo(name)) wake(destinationOf(name))
      }
    },

    offerEdu(name, edu, key, withinMs = 0) {
      if (!isSentTo(name)) return
      const destination = destinationOf(name)
      offeredCount += 1
      destination.offered.add({ edu, key, id: `${instance}.${offeredCount}`, offeredTs: clock.now() })
      const dueTs = clock.now() + withinMs
      if (destination.cancelDelay && destination.delayedUntilTs <= dueTs) return
      goNow(destination)
      if (withinMs > 0) {
        destination.delayedUntilTs = dueTs
        destination.cancelDelay = clock.after(withinMs, () => {
          goNow(destination)
          wake(destination)
        })
      } else wake(destination)
    },

    heardFrom,

    async begin(source) {
      given = source
      const { rows, mark } = await checkpoints.load(source)
      const { position } = store
      for (const name of await source.serversOwed(mark)) if (isSentTo(name)) destinationOf(name)
      for (const destination of active.values()) destination.cursor = Math.min(destination.cursor, mark)
      const spreadMs = Math.min(SPREAD_MS, rows.length * SPREAD_MS_PER_DESTINATION)
      for (const row of rows) {
        const destination = destinationOf(row.server)
        destination.cursor = row.deliveredUpTo
        destination.behindSinceTs = row.behindSinceTs
        destination.failingSinceTs = row.failingSinceTs
        if (row.failingSinceTs !== null) {
          destination.failures = 1
          pause(destination, clock.now() + random.number() * spreadMs)
        }
      }
      for (const destination of active.values()) destination.wanted = Math.max(destination.wanted, position)
      for (const name of await durable.load()) if (isSentTo(name)) destinationOf(name)
      checkpoints.reached(position)
      isBegun = true
      for (const destination of active.values()) wake(destination)
    },

    list: () => statusOfAll(active.values(), durable),

    retry(server) {
      const destination = active.get(server)
      if (!destination) return false
      backoff.heardFrom(server)
      if (destination.cancelRetry) resume(destination)
      return true
    },

    stats: {
      get destinations() {
        return active.size
      },
      get failing() {
        let failing = 0
        for (const { failures } of active.values()) if (failures > 0) failing += 1
        return failing
      },
      get edus() {
        return durable.total
      },
      get transactions() {
        return transactions
      },
    },

    async [Symbol.asyncDispose]() {
      closing.abort()
      endBack()
      for (const destination of active.values()) {
        destination.cancelRetry?.()
        goNow(destination)
      }
      await Promise.all(runs)
      await checkpoints.close()
    },
  }
}
