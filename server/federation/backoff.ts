import type { Clock, Random } from '../observe/environment.ts'

const FIRST_DELAY_MS = 1_000
const LAST_DELAY_MS = 3_600_000
/** How many servers that do not answer are remembered; forgetting one only means that it is tried again. */
const MAX_REMEMBERED = 20_000

/**
 * Next delay before trying a destination again: doubles from 1 s to 1 h, then stays; up to 20 % is added at random so that
 * servers do not return in step.
 * @param failures failed attempts in a row, 1 or more
 * @param random a number in [0, 1)
 * @returns milliseconds
 */
export function retryDelayMs(failures: number, random: number): number {
  const base = Math.min(FIRST_DELAY_MS * 2 ** Math.min(failures - 1, 30), LAST_DELAY_MS)
  return Math.round(base * (1 + 0.2 * random))
}

/** Which destinations do not answer, and when each is to be tried again. One for all that this server sends. */
export interface Backoff {
  /** When to try the destination again, in ms since the epoch; `undefined`: at any time. */
  retryTs(destination: string): number | undefined
  /** It could not be reached. Failures of requests that ran side by side count as one. */
  failed(destination: string): void
  /** It answered, or spoke to us: it is there, and how it was before is forgotten. */
  heardFrom(server: string): void
  /**
   * Told of each server that is there again after it did not answer.
   * @returns ends that
   */
  onBack(listener: (server: string) => void): () => void
}

/** @param parts.longestMs no delay gets longer than this, if not an hour */
export function createBackoff(parts: {
  readonly clock: Clock
  readonly random: Random
  readonly longestMs?: number
}): Backoff {
  const { clock, random, longestMs = Number.POSITIVE_INFINITY } = parts
  const away = new Map<string, { readonly failures: number; readonly retryTs: number }>()
  const listeners = new Set<(server: string) => void>()

  function retryTs(destination: string): number | undefined {
    const known = away.get(destination)
    return known && known.retryTs > clock.now() ? known.retryTs : undefined
  }

  return {
    retryTs,

    failed(destination) {
      if (retryTs(destination) !== undefined) return
      const failures = (away.get(destination)?.failures ?? 0) + 1
      away.delete(destination)
      const delayMs = Math.min(retryDelayMs(failures, random.number()), longestMs)
      away.set(destination, { failures, retryTs: clock.now() + delayMs })
      for (const oldest of away.keys()) {
        if (away.size <= MAX_REMEMBERED) break
        away.delete(oldest)
      }
    },

    heardFrom(server) {
      if (!away.delete(server)) return
      for (const listener of listeners) listener(server)
    },

    onBack(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}
