import type { Environment } from '../observe/environment.ts'
import { put, type Store } from '../store/index.ts'
import type { Seen } from './contract.ts'
import { type ActivityRow, activityRows } from './store.ts'

/** How late what was seen is written, so that requests cost no commit. Spec: definitions/client_device.yaml, `last_seen_ts`. */
const FLUSH_DELAY_MS = 5 * 60_000
const ROWS_PER_COMMIT = 500
const MAX_USER_AGENT_LENGTH = 256
const MAX_IP_LENGTH = 64

/** When and from where each device was last seen: kept in memory, written seldom. */
export interface Activity extends AsyncDisposable {
  /** @param device `rowKey(userId, deviceId)` */
  note(device: string, seen: Seen, now: number): void
  find(device: string): Promise<ActivityRow | undefined>
  /** Of a removed device: what was not written yet is not written any more. */
  forget(device: string): void
  /** Writes what waits. */
  flush(): Promise<void>
}

export function createActivity({ store, environment }: { store: Store; environment: Environment }): Activity {
  let unwritten = new Map<string, ActivityRow>()
  let cancelTimer: (() => void) | undefined

  function schedule(): void {
    cancelTimer ??= environment.clock.after(FLUSH_DELAY_MS, () => {
      cancelTimer = undefined
      flush().catch((error: unknown) => {
        // The rows wait on; the store has logged why it refuses, and the next try may succeed.
        environment.logger.warn({ event: 'accounts.activity_not_written', error })
        schedule()
      })
    })
  }

  async function flush(): Promise<void> {
    while (unwritten.size > 0) {
      const batch = [...unwritten.values()].slice(0, ROWS_PER_COMMIT)
      await store.commit(() => batch.filter((row) => unwritten.has(row.id)).map((row) => put(activityRows, row)))
      for (const row of batch) if (unwritten.get(row.id) === row) unwritten.delete(row.id)
    }
  }

  return {
    note(device, seen, now) {
      unwritten.set(device, {
        id: device,
        lastSeenTs: now,
        lastSeenIp: seen.ip.slice(0, MAX_IP_LENGTH),
        lastSeenUserAgent: seen.userAgent.slice(0, MAX_USER_AGENT_LENGTH),
      })
      schedule()
    },
    find: async (device) => unwritten.get(device) ?? (await store.home.get(activityRows, device)),
    forget(device) {
      unwritten.delete(device)
    },
    flush,
    async [Symbol.asyncDispose]() {
      cancelTimer?.()
      await flush()
      unwritten = new Map()
    },
  }
}
