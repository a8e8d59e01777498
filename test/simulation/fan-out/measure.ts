import { seededRandom } from '../../support/seeded-random.ts'
import type { Way } from './ways.ts'
import { type Home, World } from './world.ts'

export interface Scenario {
  readonly homes: number
  /** Share of homes that are gone. */
  readonly offline: number
  /** Size of an event in bytes. */
  readonly eventBytes: number
  /** Events that the author sends, a second apart. */
  readonly events: number
}

/** Of one run, or the mean of several. Bytes are what a home sends for one event; homes that are gone do not count. */
export interface Figures {
  readonly authorBytes: number
  readonly authorCpuMs: number
  /** The home that sends most. */
  readonly mostBytes: number
  readonly meanBytes: number
  /** Until half and 99 % of the homes have the last event; infinite where they never do. */
  readonly halfMs: number
  readonly almostAllMs: number
  /** Share of homes that have all events in the end. */
  readonly reached: number
}

export function measure(way: Way, scenario: Scenario, seed: number): Figures {
  const world = new World({ homes: scenario.homes, offline: scenario.offline, random: seededRandom(seed) })
  const [author] = world.homes
  if (!author) throw new Error('nobody is there')
  const counts = new Map<Home, number>()
  const lastArrivals: number[] = []
  for (let i = 0; i < scenario.events; i += 1) {
    const startMs = i * 1_000
    const event = { id: `$${seed}-${i}`, bytes: scenario.eventBytes }
    world.at(startMs, () =>
      way.spread(world, event, (home) => {
        counts.set(home, (counts.get(home) ?? 0) + 1)
        if (i === scenario.events - 1) lastArrivals.push(world.nowMs - startMs)
      }),
    )
  }
  world.run()
  const there = world.homes.filter(({ isOnline }) => isOnline)
  const others = there.filter((home) => home !== author)
  const bytes = there.map(({ bytesUp }) => bytesUp / scenario.events)
  lastArrivals.sort((a, b) => a - b)
  const until = (share: number): number =>
    lastArrivals[Math.ceil(others.length * share) - 1] ?? Number.POSITIVE_INFINITY
  return {
    authorBytes: author.bytesUp / scenario.events,
    authorCpuMs: author.cpuMs / scenario.events,
    mostBytes: Math.max(...bytes),
    meanBytes: bytes.reduce((sum, each) => sum + each, 0) / bytes.length,
    halfMs: until(0.5),
    almostAllMs: until(0.99),
    reached: others.filter((home) => counts.get(home) === scenario.events).length / others.length,
  }
}

/** The mean of runs with the seeds 1, 2, 3 … */
export function measureMean(way: Way, scenario: Scenario, runs: number): Figures {
  const all = Array.from({ length: runs }, (_, i) => measure(way, scenario, i + 1))
  const mean = (of: (figures: Figures) => number): number => all.reduce((sum, each) => sum + of(each), 0) / runs
  return {
    authorBytes: mean((each) => each.authorBytes),
    authorCpuMs: mean((each) => each.authorCpuMs),
    mostBytes: mean((each) => each.mostBytes),
    meanBytes: mean((each) => each.meanBytes),
    halfMs: mean((each) => each.halfMs),
    almostAllMs: mean((each) => each.almostAllMs),
    reached: mean((each) => each.reached),
  }
}
