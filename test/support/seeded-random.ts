import type { Random } from '../../server/observe/environment.ts'

/** Random numbers that are the same in every run with the same seed. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return (mixed ^ (mixed >>> 14)) >>> 0
  }
  return {
    number: () => next() / 2 ** 32,
    bytes: (count) => Buffer.from(Array.from({ length: count }, () => next() & 0xff)),
  }
}
