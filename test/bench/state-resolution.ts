/**
 * How long state resolution takes, and how much memory: `node --expose-gc test/bench/state-resolution.ts [members] [fork length]`.
 * Prints one line a case: the room's version, how the states were given, milliseconds (median and worst of the runs), events
 * looked at, and MB allocated in one run.
 */
import { resolveState, toMap } from '../../server/protocol/state-resolution/index.ts'
import { makeLargeRoom } from '../protocol/state-resolution/large-room.ts'

const RUNS = 15
const members = Number(process.argv[2] ?? 5_000)
const forkLength = Number(process.argv[3] ?? 500)

for (const version of ['2', '11', '12']) {
  const room = makeLargeRoom(version, members, forkLength)
  const cases = {
    'forks of one base': { states: room.forks, ranks: room.rank },
    'full maps': { states: room.forks.map(toMap), ranks: room.rank },
    'forks, no ranks': { states: room.forks, ranks: undefined },
  }
  for (const [name, { states, ranks }] of Object.entries(cases)) {
    let lookups = 0
    const eventById = (eventId: string) => {
      lookups += 1
      return room.eventById(eventId)
    }
    const times: number[] = []
    const allocations: number[] = []
    for (let run = 0; run < RUNS; run += 1) {
      globalThis.gc?.()
      const before = process.memoryUsage().heapUsed
      const started = performance.now()
      resolveState({ roomId: room.roomId, rules: room.rules, states, eventById, ranks })
      times.push(performance.now() - started)
      allocations.push(process.memoryUsage().heapUsed - before)
    }
    times.sort((a, b) => a - b)
    allocations.sort((a, b) => a - b)
    const median = times[RUNS >> 1] as number
    const worst = times.at(-1) as number
    const mb = (allocations[RUNS >> 1] as number) / 1e6
    console.log(
      `v${version.padEnd(3)} ${name.padEnd(18)} ${median.toFixed(1).padStart(7)} ms  worst ${worst.toFixed(1).padStart(7)} ms  ` +
        `${lookups / RUNS} of ${room.events.size} events  ${mb.toFixed(1)} MB`,
    )
  }
}
