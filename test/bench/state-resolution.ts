/**
 * How long state resolution takes, and how much memory: `node --expose-gc test/bench/state-resolution.ts [members] [fork length]`.
 * Prints one line a case: the room's version, how the states were given, milliseconds (median and worst of the runs), events
 * looked at, and MB allocated in one run.
 */
import { timeResolutions } from './resolution-times.ts'

const members = Number(process.argv[2] ?? 5_000)
const forkLength = Number(process.argv[3] ?? 500)

for (const time of timeResolutions({ members, forkLength, runs: 15 })) {
  console.log(
    `v${time.version.padEnd(3)} ${time.given.padEnd(18)} ${time.medianMs.toFixed(1).padStart(7)} ms  ` +
      `worst ${time.worstMs.toFixed(1).padStart(7)} ms  ` +
      `${time.eventsLookedAt} of ${time.eventsInRoom} events  ${time.allocatedMb.toFixed(1)} MB`,
  )
}
