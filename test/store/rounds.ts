import { inject } from 'vitest'
import type { StoreLimits } from '../../server/store/index.ts'
import type { Seeded } from '../support/seeded.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** Whether the store's random tests run in their long form: `npm run test:store-long`. */
    isLong?: boolean
  }
}

/** Whether the random tests run in their long form. */
export const isLong = inject('isLong') === true

/**
 * The seeds of a random test. A seed that failed goes into `failed`, and so becomes a test of its own in both forms; to run
 * one alone: `npm run test:store-long -- -t 'seed 117$'`.
 */
export function rounds(options: { short: number; long: number; failed?: readonly number[] }): readonly number[] {
  const usual = Array.from({ length: isLong ? options.long : options.short }, (_, i) => i + 1)
  return [...new Set([...usual, ...(options.failed ?? [])])]
}

/** Limits so small that everything the store does now and then happens all the time. */
export function tightLimits(random: Seeded): Partial<StoreLimits> {
  return {
    segmentRows: 16,
    openRooms: random.pick([1, 2, 8]),
    openBytes: random.pick([1, 1_000_000]),
    cacheBytes: random.pick([1, 2_000, 100_000]),
    openFiles: random.pick([1, 8]),
    journalBytes: random.pick([2_000, 20_000]),
    journalFileBytes: random.pick([500, 4_000]),
    sliceMs: random.pick([0, 5]),
  }
}
