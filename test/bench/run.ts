/**
 * `npm run bench`: CPU per operation, latency, memory and disk of Hearth, and beside it of another homeserver on this machine.
 *
 *   npm run bench -- [--only WORD] [--no-hearth] [--peer http://127.0.0.1:8018 --peer-secret S [--peer-data DIR] [--peer-name Synapse]]
 *
 * Registration by shared secret must be on at the peer, and its rate limits off.
 */
import { parseArgs } from 'node:util'
import { BenchClient } from './bench-client.ts'
import { findListeningProcess, folderBytes, ProcessUsage } from './process-usage.ts'
import { type Scenario, scenarios } from './scenarios.ts'
import { type Hearth, startHearth } from './start-hearth.ts'

interface Measured {
  readonly cpuMs: number
  readonly p50Ms: number
  readonly p95Ms: number
  readonly operations: number
}

/** A scenario runs until the server has used this much CPU, or so many operations are done. */
const ENOUGH_CPU_MS = 1_500
const ENOUGH_OPERATIONS = 1_500
const FEWEST_OPERATIONS = 20
const WARM_UP_OPERATIONS = 30

const { values: options } = parseArgs({
  options: {
    only: { type: 'string' },
    'no-hearth': { type: 'boolean', default: false },
    peer: { type: 'string' },
    'peer-secret': { type: 'string', default: '' },
    'peer-data': { type: 'string' },
    'peer-name': { type: 'string', default: 'Peer' },
  },
})
const chosen = scenarios.filter(({ name }) => options.only === undefined || name.includes(options.only))
const columns = new Map<string, Map<string, string>>()

if (!options['no-hearth']) {
  const facts = new Map<string, string>()
  columns.set('Hearth', facts)
  const empty = await startHearth()
  facts.set('start to first answer, empty (wall)', `${empty.startMs.toFixed(0)} ms`)
  facts.set('memory, idle', `${new ProcessUsage(empty.pid).memoryMb().toFixed(0)} MB`)
  const hearth = await measure(
    'Hearth',
    new BenchClient(empty.baseUrl, empty.sharedSecret),
    empty.pid,
    empty.dataDir,
    empty,
  )
  const again = await startHearth(hearth)
  facts.set('start to first answer, with data (wall)', `${again.startMs.toFixed(0)} ms`)
  await again.stop()
  again.remove()
}
if (options.peer !== undefined) {
  const url = new URL(options.peer)
  const pid = findListeningProcess(Number(url.port))
  if (pid === undefined) throw new Error(`nothing on this machine listens on port ${url.port}`)
  columns.set(options['peer-name'], new Map())
  await measure(options['peer-name'], new BenchClient(options.peer, options['peer-secret']), pid, options['peer-data'])
}
print()

async function measure(
  name: string,
  client: BenchClient,
  pid: number,
  dataDir: string | undefined,
  hearth?: Hearth,
): Promise<Hearth | undefined> {
  const usage = new ProcessUsage(pid)
  const facts = columns.get(name) ?? new Map<string, string>()
  for (const scenario of chosen) {
    process.stderr.write(`${name}: ${scenario.name} …\n`)
    const bytesBefore = dataDir === undefined ? 0 : folderBytes(dataDir)
    const result = await run(scenario, client, usage)
    facts.set(scenario.name, `${show(result.cpuMs)} (${show(result.p50Ms)} / ${show(result.p95Ms)})`)
    if (scenario === scenarios[0] && dataDir !== undefined) {
      const bytes = (folderBytes(dataDir) - bytesBefore) / (result.operations + WARM_UP_OPERATIONS)
      facts.set('disk for each event', `${bytes.toFixed(0)} bytes`)
    }
  }
  facts.set('memory, after the load', `${usage.memoryMb().toFixed(0)} MB`)
  await hearth?.stop()
  return hearth
}

async function run(scenario: Scenario, client: BenchClient, usage: ProcessUsage): Promise<Measured> {
  const { run: operation, workers } = await scenario.prepare(client)
  for (let i = 0; i < WARM_UP_OPERATIONS; i += workers) {
    await Promise.all(Array.from({ length: workers }, (_, worker) => operation(worker)))
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
        if (i % 10 === 0 && isEnough()) return
        const started = performance.now()
        await operation(worker)
        latencies.push(performance.now() - started)
      }
    }),
  )
  const cpuMs = (usage.cpuMs() - cpuBefore) / latencies.length
  latencies.sort((a, b) => a - b)
  const percentile = (share: number): number => latencies[Math.floor(share * (latencies.length - 1))] ?? Number.NaN
  return { cpuMs, p50Ms: percentile(0.5), p95Ms: percentile(0.95), operations: latencies.length }
}

function print(): void {
  const names = [...columns.keys()]
  const targets = new Map(scenarios.map(({ name, targetMs }) => [name, String(targetMs)]))
  const rows = new Set([...columns.values()].flatMap((facts) => [...facts.keys()]))
  console.log('CPU milliseconds for each operation (latency in ms: median / 95 %)\n')
  console.log(`| | ${names.join(' | ')} | at most |`)
  console.log(`|---|${names.map(() => '---').join('|')}|---|`)
  for (const row of rows) {
    console.log(
      `| ${row} | ${names.map((name) => columns.get(name)?.get(row) ?? '–').join(' | ')} | ${targets.get(row) ?? ''} |`,
    )
  }
}

function show(n: number): string {
  return n >= 10 ? n.toFixed(0) : n.toFixed(2)
}
