import type { RoomsCore } from '../core.ts'
import type { History } from './history.ts'

/** A client waits for no longer; what comes later is there when it asks again. */
export const MAX_WAIT_MS = 10_000
const MAX_ROUNDS = 5

/** What could be read, and where reading stopped because history is missing. */
export interface ReadSoFar<T> {
  readonly result: T
  /** The order of the event below which it is missing. */
  readonly edge: number | undefined
}

/**
 * Reads, fetches what was found missing, and reads again, as long as that brings something and the client has time.
 *
 * @param read told which edges nothing came to: it is to read on behind these, where anything is
 * @param mustGoOn whether to read on behind an edge also where time was too short for it
 */
export async function readFilling<T>(
  core: RoomsCore,
  history: History,
  roomId: string,
  read: (passed: ReadonlySet<number>) => Promise<ReadSoFar<T>>,
  mustGoOn = false,
): Promise<T> {
  const { clock } = core.environment
  const untilTs = clock.now() + MAX_WAIT_MS
  const passed = new Set<number>()
  for (let round = 1; ; round += 1) {
    const { result, edge } = await read(passed)
    if (edge === undefined || passed.has(edge)) return result
    const isOver = round > MAX_ROUNDS || clock.now() >= untilTs
    const hasGained = isOver ? 'late' : await within(core, untilTs - clock.now(), history.fill(roomId, edge))
    if (hasGained === 'late' && !mustGoOn) return result
    if (hasGained !== true) passed.add(edge)
  }
}

/** What a work comes to, or that it takes too long; then it goes on by itself. */
export async function within<T>(core: RoomsCore, ms: number, work: Promise<T>): Promise<T | 'late'> {
  const { promise, resolve } = Promise.withResolvers<'late'>()
  const cancel = core.environment.clock.after(ms, () => resolve('late'))
  // Nobody may be left to hear of its failure.
  work.catch(() => undefined)
  try {
    return await Promise.race([work, promise])
  } finally {
    cancel()
  }
}
