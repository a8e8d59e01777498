import type { StoreLimits } from '../../server/store/index.ts'
import type { Seeded } from '../support/seeded.ts'

/**
 * The seeds of a random test: few in the ordinary run, many with `HEARTH_LONG_TESTS=1`, and one alone with
 * `HEARTH_TEST_SEED=…`, which repeats a failure.
 */
export function rounds(short: number, long: number): readonly number[] {
  const alone = process.env.HEARTH_TEST_SEED
  if (alone !== undefined) return [Number(alone)]
  return Array.from({ length: process.env.HEARTH_LONG_TESTS === '1' ? long : short }, (_, i) => i + 1)
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
