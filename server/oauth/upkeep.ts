import type { Environment } from '../observe/environment.ts'
import { type Collection, type Row, remove, type Store } from '../store/index.ts'
import type { Clients } from './clients.ts'
import { browserSessionRows, codeRows, deviceCodeRows, resetApprovalRows } from './store.ts'

const INTERVAL_MS = 10 * 60_000
const ROWS_PER_COMMIT = 500
const EXPIRING: readonly Collection<Row>[] = [codeRows, deviceCodeRows, browserSessionRows, resetApprovalRows]

/** Removes what has expired, now and then. Nothing relies on it: whoever reads a row looks at its time. */
export function startUpkeep({
  environment,
  store,
  clients,
}: {
  environment: Environment
  store: Store
  clients: Clients
}): AsyncDisposable {
  const { clock, logger } = environment
  let cancel: (() => void) | undefined
  let running: Promise<void> = Promise.resolve()

  async function sweep(): Promise<void> {
    for (const collection of EXPIRING) {
      for (;;) {
        const to = clock.now()
        const old = await store.home.range(collection, { index: 'expiresTs', to, limit: ROWS_PER_COMMIT })
        if (old.length === 0) break
        await store.commit(() => old.map((row) => remove(collection, String(row[collection.key]))))
      }
    }
    await clients.forgetUnused()
  }

  function run(): void {
    running = sweep().catch((error: unknown) => logger.warn({ event: 'oauth.upkeep_failed', error }))
    cancel = clock.after(INTERVAL_MS, run)
  }
  run()
  return {
    async [Symbol.asyncDispose]() {
      cancel?.()
      await running
    },
  }
}
