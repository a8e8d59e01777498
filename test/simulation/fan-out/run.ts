/** `npm run simulate`: prints the tables of README.md. The seeds are fixed, so the figures are the same each time. */
import { measureMean, type Scenario } from './measure.ts'
import { fullMesh, fullMeshKnowing, ring, type Way } from './ways.ts'

const RUNS = 5
const HOMES = 2_000
const WAYS: readonly Way[] = [
  fullMesh,
  fullMeshKnowing,
  ring(2, 1),
  ring(4, 1),
  ring(8, 1),
  ring(16, 1),
  ring(4, 2),
  ring(8, 2),
  ring(8, 3),
]

const size = (bytes: number): string =>
  bytes >= 1e6 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e3).toFixed(0)} kB`
const time = (ms: number): string => (Number.isFinite(ms) ? `${(ms / 1_000).toFixed(1)} s` : 'never')

function table(title: string, scenario: Scenario, ways: readonly Way[]): string {
  const rows = ways.map((way) => {
    const figures = measureMean(way, scenario, RUNS)
    return [
      way.name,
      size(figures.authorBytes),
      `${figures.authorCpuMs.toFixed(0)} ms`,
      size(figures.mostBytes),
      size(figures.meanBytes),
      time(figures.halfMs),
      time(figures.almostAllMs),
      `${(figures.reached * 100).toFixed(1)} %`,
    ]
  })
  const head = [
    'way',
    'author sends',
    'author computes',
    'busiest sends',
    'mean sends',
    '50 % have it',
    '99 % have it',
    'reached',
  ]
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  return [`### ${title}`, '', line(head), line(head.map(() => '---')), ...rows.map(line), ''].join('\n')
}

const one = { homes: HOMES, offline: 0, eventBytes: 1_200, events: 1 }
const print = (text: string): void => void process.stdout.write(`${text}\n`)
print(
  table(
    'One message, all homes there',
    one,
    WAYS.filter((way) => way !== fullMeshKnowing),
  ),
)
print(table('One message, 20 % of the homes gone', { ...one, offline: 0.2 }, WAYS))
print(
  table(
    'Ten messages of one author, a second apart, 20 % gone (for each message; times of the last)',
    { ...one, offline: 0.2, events: 10 },
    [fullMesh, fullMeshKnowing, ring(4, 1), ring(8, 1), ring(8, 2)],
  ),
)
