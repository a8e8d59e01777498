import type { BenchClient } from './bench-client.ts'
import type { ProcessUsage } from './process-usage.ts'
import type { Scenario } from './scenarios.ts'

/** Of one operation; `cpuMs` is the server's, times are the client's. */
export interface Measured {
  readonly cpuMs: number
  readonly p50Ms: number
  readonly p95Ms: number
  readonly p99Ms: number
  /** All that the server was asked to do, the warming up included. */
  readonly operations: number
}

/** Until the server's code is compiled: so many operations, or as much of its CPU. */
const WARM_UP_OPERATIONS = 300
const WARM_UP_CPU_MS = 1_000
/** A scenario runs until the server has used this much CPU, or so many operations are done. */
const ENOUGH_CPU_MS = 1_500
const ENOUGH_OPERATIONS = 1_500
const FEWEST_OPERATIONS = 20

export async function measure(scenario: Scenario, client: BenchClient, usage: ProcessUsage): Promise<Measured> {
  const { run, workers } = await scenario.prepare(client)
  const most = scenario.most ?? Number.POSITIVE_INFINITY
  const warmUps = Math.min(WARM_UP_OPERATIONS, most / 2)
  let operations = 0
  const cpuAtFirst = usage.cpuMs()
  for (; operations < warmUps && usage.cpuMs() - cpuAtFirst < WARM_UP_CPU_MS; operations += workers) {
    await Promise.all(Array.from({ length: workers }, (_, worker) => run(worker)))
  }
  const latencies: number[] = []
  const cpuBefore = usage.cpuMs()
  const isEnough = (): boolean =>
    latencies.length >= FEWEST_OPERATIONS &&
    (latencies.length >= ENOUGH_OPERATIONS || usage.cpuMs() - cpuBefore >= ENOUGH_CPU_MS)
  await Promise.all(
    Array.from({ length: workers }, async (_, worker) => {
      for (let i = 0; ; i += 1) {
        // Looking at the process costs time as well: not before every operation.
        if (operations + latencies.length >= most || (i % 10 === 0 && isEnough())) return
        const started = performance.now()
        await run(worker)
        latencies.push(performance.now() - started)
      }
    }),
  )
  const cpuMs = (usage.cpuMs() - cpuBefore) / latencies.length
  latencies.sort((a, b) => a - b)
  const percentile = (share: number): number => latencies[Math.floor(share * (latencies.length - 1))] ?? Number.NaN
  return {
    cpuMs,
    p50Ms: percentile(0.5),
    p95Ms: percentile(0.95),
    p99Ms: percentile(0.99),
    operations: operations + latencies.length,
  }
}
