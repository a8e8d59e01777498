import { resolveState, toMap } from '../../server/protocol/state-resolution/index.ts'
import { makeLargeRoom } from '../protocol/state-resolution/large-room.ts'

/** One way of asking for a resolution; times are of one of them. */
export interface ResolutionTime {
  readonly version: string
  /** How the states were given. */
  readonly given: string
  readonly medianMs: number
  readonly worstMs: number
  readonly eventsLookedAt: number
  readonly eventsInRoom: number
  /** Allocated in one run, as far as `--expose-gc` lets it be told. */
  readonly allocatedMb: number
}

/** Resolves the two forks of a large room in each algorithm's newest room version. */
export function* timeResolutions(room: {
  readonly members: number
  readonly forkLength: number
  readonly runs: number
}): Generator<ResolutionTime> {
  for (const version of ['2', '11', '12']) {
    const large = makeLargeRoom(version, room.members, room.forkLength)
    const cases = {
      'forks of one base': { states: large.forks, ranks: large.rank },
      'full maps': { states: large.forks.map(toMap), ranks: large.rank },
      'forks, no ranks': { states: large.forks, ranks: undefined },
    }
    for (const [given, { states, ranks }] of Object.entries(cases)) {
      let lookups = 0
      const eventById = (eventId: string) => {
        lookups += 1
        return large.eventById(eventId)
      }
      const times: number[] = []
      const allocations: number[] = []
      for (let run = 0; run < room.runs; run += 1) {
        globalThis.gc?.()
        const before = process.memoryUsage().heapUsed
        const started = performance.now()
        resolveState({ roomId: large.roomId, rules: large.rules, states, eventById, ranks })
        times.push(performance.now() - started)
        allocations.push(process.memoryUsage().heapUsed - before)
      }
      yield {
        version,
        given,
        medianMs: middle(times),
        worstMs: Math.max(...times),
        eventsLookedAt: lookups / room.runs,
        eventsInRoom: large.events.size,
        allocatedMb: middle(allocations) / 1e6,
      }
    }
  }
}

function middle(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[numbers.length >> 1] ?? Number.NaN
}
