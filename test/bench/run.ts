/**
 * `npm run bench`: CPU per operation, latency, memory and disk of Hearth, and beside it of another homeserver on this machine.
 *
 *   npm run bench -- [--only WORD] [--no-hearth] [--no-growth] [--growth-events 20000] [--growth-rooms 500]
 *     [--peer http://127.0.0.1:8018 --peer-secret S [--peer-data DIR] [--peer-name Synapse] [--peer-start COMMAND]]
 *
 * At the peer, registration by shared secret must be on and rate limits off. With `--peer-start` (a command that stays in the
 * foreground, with an empty data folder) the benchmark starts the peer itself, and can say how long that takes.
 */
import { setTimeout as wait } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { BenchClient } from './bench-client.ts'
import { growthScenarios } from './growth.ts'
import { measure } from './measure.ts'
import { findListeningProcess, folderBytes, ProcessUsage } from './process-usage.ts'
import { timeResolutions } from './resolution-times.ts'
import { type Scenario, scenarios } from './scenarios.ts'
import { makeHearthHome, type Started, startByCommand } from './start-server.ts'
import { show, Table } from './table.ts'

/** Starts of Hearth, of which the middle one counts. */
const STARTS = 5
/** Programs that collect garbage give memory back when there is nothing to do. */
const REST_MS = 30_000

const { values: options } = parseArgs({
  options: {
    only: { type: 'string' },
    'no-hearth': { type: 'boolean', default: false },
    'no-growth': { type: 'boolean', default: false },
    peer: { type: 'string' },
    'peer-secret': { type: 'string', default: '' },
    'peer-data': { type: 'string' },
    'peer-name': { type: 'string', default: 'Peer' },
    'peer-start': { type: 'string' },
    'growth-events': { type: 'string', default: '20000' },
    'growth-rooms': { type: 'string', default: '500' },
  },
})
const isChosen = ({ name }: Scenario): boolean => options.only === undefined || name.includes(options.only)
const chosen = scenarios.filter(isChosen)
const growth = options['no-growth']
  ? []
  : growthScenarios({ events: Number(options['growth-events']), rooms: Number(options['growth-rooms']) }).filter(
      isChosen,
    )

const START_EMPTY = 'start to first answer, empty (wall; CPU)'
const START_WITH_DATA = 'start to first answer, with data (wall; CPU)'
const MEMORY_IDLE = 'memory, idle'
const MEMORY_AFTER = 'memory, right after the load (peak)'
const MEMORY_RESTED = 'memory, after the load and a rest'
const DISK = 'disk for each event'
const RESOLUTION = 'state resolution, 5,000 members, forks of 500 (wall)'

const table = new Table()
for (const { name, targetMs } of scenarios) table.target(name, String(targetMs))
table.target(START_EMPTY, '500 ms')
table.target(START_WITH_DATA, '600 ms')
table.target(MEMORY_IDLE, '90 MB')
table.target(MEMORY_RESTED, '150 MB')
table.target(DISK, '3000 bytes')
table.target(RESOLUTION, '300 ms')

if (!options['no-hearth']) await measureHearth()
if (options.peer !== undefined) await measurePeer(options.peer)
console.log('CPU milliseconds of the server for each operation (latency at the client in ms: median / 95 % / 99 %)\n')
console.log(table.toString())

async function measureHearth(): Promise<void> {
  const name = 'Hearth'
  using home = makeHearthHome()
  const emptyStarts: Started['start'][] = []
  for (let i = 1; i < STARTS; i += 1) {
    using other = makeHearthHome()
    const started = await other.start()
    emptyStarts.push(started.start)
    await started.stop()
  }
  const hearth = await home.start()
  table.set(name, START_EMPTY, showStart([...emptyStarts, hearth.start]))
  await measureLoad(name, new BenchClient(hearth.baseUrl, home.sharedSecret), hearth.pid, home.dataDir)
  await hearth.stop()

  const laterStarts: Started['start'][] = []
  for (let i = 0; i < STARTS; i += 1) {
    const started = await home.start()
    laterStarts.push(started.start)
    await started.stop()
  }
  table.set(name, START_WITH_DATA, showStart(laterStarts))
  if (options.only === undefined) {
    const times = [...timeResolutions({ members: 5_000, forkLength: 500, runs: 5 })]
    table.set(name, RESOLUTION, `${show(Math.max(...times.map(({ medianMs }) => medianMs)))} ms`)
  }
}

async function measurePeer(baseUrl: string): Promise<void> {
  const name = options['peer-name']
  const command = options['peer-start']
  const started = command === undefined ? undefined : await startByCommand(command, baseUrl)
  if (started) table.set(name, START_EMPTY, showStart([started.start]))
  const { port } = new URL(baseUrl)
  const pid = findListeningProcess(Number(port))
  if (pid === undefined) throw new Error(`nothing on this machine listens on port ${port}`)
  await measureLoad(name, new BenchClient(baseUrl, options['peer-secret']), pid, options['peer-data'])
  if (started === undefined || command === undefined) return
  await started.stop()
  const again = await startByCommand(command, baseUrl)
  table.set(name, START_WITH_DATA, showStart([again.start]))
  await again.stop()
}

async function measureLoad(name: string, client: BenchClient, pid: number, dataDir: string | undefined): Promise<void> {
  const usage = new ProcessUsage(pid)
  table.set(name, MEMORY_IDLE, `${show(usage.memoryMb().now)} MB`)
  for (const scenario of chosen) {
    const bytesBefore = dataDir === undefined ? 0 : folderBytes(dataDir)
    const operations = await measureOne(name, scenario, client, usage)
    if (scenario === scenarios[0] && dataDir !== undefined && operations > 0) {
      table.set(name, DISK, `${((folderBytes(dataDir) - bytesBefore) / operations).toFixed(0)} bytes`)
    }
  }
  const { now, peak } = usage.memoryMb()
  table.set(name, MEMORY_AFTER, `${show(now)} (${show(peak)}) MB`)
  if (options.only === undefined) {
    await wait(REST_MS)
    table.set(name, MEMORY_RESTED, `${show(usage.memoryMb().now)} MB`)
  }
  for (const scenario of growth) await measureOne(name, scenario, client, usage)
}

/** @returns how many operations there were; 0 where the server refused some, which is no reason to lose all other rows */
async function measureOne(name: string, scenario: Scenario, client: BenchClient, usage: ProcessUsage): Promise<number> {
  process.stderr.write(`${name}: ${scenario.name} … `)
  try {
    const { cpuMs, p50Ms, p95Ms, p99Ms, operations } = await measure(scenario, client, usage)
    const shown = `${show(cpuMs)} (${show(p50Ms)} / ${show(p95Ms)} / ${show(p99Ms)})`
    process.stderr.write(`${shown}\n`)
    table.set(name, scenario.name, shown)
    return operations
  } catch (error) {
    process.stderr.write(`failed: ${error instanceof Error ? error.message : String(error)}\n`)
    table.set(name, scenario.name, 'failed')
    process.exitCode = 1
    return 0
  }
}

/** The middle one, by wall time. */
function showStart(starts: readonly Started['start'][]): string {
  const { wallMs, cpuMs } = starts.toSorted((a, b) => a.wallMs - b.wallMs)[starts.length >> 1] ?? {
    wallMs: Number.NaN,
    cpuMs: Number.NaN,
  }
  return `${show(wallMs)}; ${show(cpuMs)} ms`
}
