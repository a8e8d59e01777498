import type { Clock } from '../../server/observe/environment.ts'

/** A clock that only moves when a test says so. */
export interface ManualClock extends Clock {
  /** Moves time on; callbacks that come due run in their order, each at its own moment. */
  advance(ms: number): void
}

export function manualClock(startTs = 1_800_000_000_000): ManualClock {
  let now = startTs
  let timers: { readonly dueTs: number; readonly callback: () => void }[] = []
  return {
    now: () => now,
    after(delayMs, callback) {
      const timer = { dueTs: now + Math.max(0, delayMs), callback }
      timers.push(timer)
      return () => {
        timers = timers.filter((other) => other !== timer)
      }
    },
    advance(ms) {
      const end = now + ms
      for (;;) {
        const due = timers.filter((timer) => timer.dueTs <= end).sort((a, b) => a.dueTs - b.dueTs)[0]
        if (!due) break
        timers = timers.filter((other) => other !== due)
        now = Math.max(now, due.dueTs)
        due.callback()
      }
      now = end
    },
  }
}
