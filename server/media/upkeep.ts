import type { Environment } from '../observe/environment.ts'

const EVERY_MS = 3_600_000

/**
 * Work that nobody waits for: once at the start, then every hour. An error is logged and ends this time's round alone.
 * Disposing of it waits for what is running.
 */
export function startUpkeep(
  { clock, logger }: Environment,
  rounds: { readonly atStart: (stop: AbortSignal) => Promise<void>; readonly hourly: () => Promise<void> },
): AsyncDisposable {
  const stop = new AbortController()
  let cancel = (): void => {}
  const guarded = async (work: () => Promise<void>): Promise<void> => {
    try {
      await work()
    } catch (error) {
      logger.error({ event: 'media.upkeep-failed', why: (error as Error).message })
    }
  }
  const later = (): void => {
    if (stop.signal.aborted) return
    cancel = clock.after(EVERY_MS, () => {
      running = guarded(rounds.hourly).then(later)
    })
  }
  let running: Promise<void> = guarded(() => rounds.atStart(stop.signal))
    .then(() => guarded(rounds.hourly))
    .then(later)
  return {
    async [Symbol.asyncDispose]() {
      stop.abort()
      cancel()
      await running
    },
  }
}
