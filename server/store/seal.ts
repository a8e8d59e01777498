/**
 * Moves stretches of a segmented collection from memory into files. What is to be moved is settled in one turn; the files are
 * written while commits go on; then the new view is shown, and the rows that have not changed meanwhile leave the memory.
 */
import path from 'node:path'
import type { BlockCache } from './block-cache.ts'
import type { Collection, Row } from './contract.ts'
import { FileCursor, mergeEntries } from './cursor.ts'
import type { Disk } from './disk.ts'
import type { FilePool } from './file-pool.ts'
import type { Pace } from './pace.ts'
import { keyBits, type RunInfo, type SealedInfo, SealedView, type Segment, type SegmentInfo } from './sealed.ts'
import type { Segmented } from './segmented.ts'
import { compareEntries, type Entry, SortedFile, type SortedInfo, writeSorted } from './sorted-file.ts'
import type { Table } from './table.ts'

/** So many runs of one level are merged into one of the next. */
const runsPerLevel = 8
/** Segments whose index is made anew in one go. */
const segmentsPerRun = 8

export interface SealTools {
  readonly disk: Disk
  readonly folder: string
  readonly pool: FilePool
  readonly cache: BlockCache
  readonly pace: Pace
  /** A name that no file of the partition has had. */
  newName(): string
}

export interface StretchPlan {
  readonly stretch: number
  /** Rows from memory. */
  readonly rows: ReadonlyMap<number, Row>
  /** The segment that it replaces, and which of its keys were removed. */
  readonly old: Segment | undefined
  readonly removed: ReadonlySet<number>
}

export interface Sealing {
  readonly info: SealedInfo
  /** The rows of memory that went into files. */
  readonly written: ReadonlyMap<number, Row>
}

/**
 * Which stretches are worth moving: all but the two newest, whose rows are asked for most, and sealed ones of which an eighth
 * has changed. At once, without a wait.
 * @param isThorough sealed ones already where one row has changed
 */
export function planSealing(table: Table, segmented: Segmented, isThorough = false): readonly StretchPlan[] {
  const { stretchKeys } = segmented.view.info
  const byStretch = new Map<number, Map<number, Row>>()
  for (const [key, row] of table.rows as ReadonlyMap<number, Row>) {
    const stretch = Math.floor(key / stretchKeys)
    let rows = byStretch.get(stretch)
    if (!rows) {
      rows = new Map()
      byStretch.set(stretch, rows)
    }
    rows.set(key, row)
  }
  const removed = new Map<number, Set<number>>()
  for (const key of segmented.hidden.keys()) {
    if (table.rows.has(key)) continue
    const stretch = Math.floor(key / stretchKeys)
    removed.set(stretch, (removed.get(stretch) ?? new Set()).add(key))
    if (!byStretch.has(stretch)) byStretch.set(stretch, new Map())
  }
  const sealed = segmented.view.segments
  const all = [...byStretch.keys(), ...sealed.keys()]
  const highest = all.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY)
  const plans: StretchPlan[] = []
  for (const [stretch, rows] of byStretch) {
    const old = sealed.get(stretch)
    const gone = removed.get(stretch) ?? new Set()
    const isWanted = old ? isThorough || rows.size + gone.size >= stretchKeys / 8 : highest - stretch >= 2
    if (isWanted) plans.push({ stretch, rows, old, removed: gone })
  }
  return plans
}

/** Writes the files of the plan. Their names last only after the folder is synced. */
export async function writeSealing(options: {
  readonly tools: SealTools
  readonly collection: Collection
  readonly view: SealedView
  readonly plans: readonly StretchPlan[]
}): Promise<Sealing> {
  const { tools, collection, view, plans } = options
  const { stretchKeys } = view.info
  const written = new Map<number, Row>()
  const segments = new Map<number, SegmentInfo>(view.info.segments.map((segment) => [segment.stretch, segment]))
  const added = new Map<string, Entry[]>(collection.indexes.map((field) => [field, []]))
  let isStale = view.info.isStale
  for (const plan of plans) {
    const before = plan.old && (await rowsOf(plan.old))
    const entries = [...(before?.values() ?? [])]
      .filter(
        (row) => !plan.rows.has(row[collection.key] as number) && !plan.removed.has(row[collection.key] as number),
      )
      .concat([...plan.rows.values()])
      .map((row): Entry => ({ value: row[collection.key] as number, key: row[collection.key] as number, row }))
      .sort(compareEntries)
    isStale ||= plan.removed.size > 0
    for (const [key, row] of plan.rows) {
      written.set(key, row)
      for (const [field, list] of added) {
        const value = row[field] ?? null
        const old = before?.get(key)
        if (old && (old[field] ?? null) === value) continue
        isStale ||= old !== undefined && (old[field] ?? null) !== null
        if (value !== null) list.push({ value, key })
      }
    }
    if (entries.length === 0) segments.delete(plan.stretch)
    else {
      const info = await writeFile(tools, entries, true)
      const keys = entries.map((entry) => entry.key)
      segments.set(plan.stretch, { ...info, stretch: plan.stretch, keys: keyBits(keys, plan.stretch, stretchKeys) })
    }
    if (tools.pace.isDue) await tools.pace.rest()
  }
  const runs: { [field: string]: readonly RunInfo[] } = {}
  for (const [field, list] of added) {
    const old = view.runs(field)?.map((run) => run.info)
    // An index that these segments do not have yet is made for all of them when it is asked for.
    if (!old) continue
    const fresh = list.length === 0 ? [] : [{ ...(await writeFile(tools, list.sort(compareEntries), false)), level: 0 }]
    runs[field] = [...old, ...fresh]
  }
  const info: SealedInfo = { key: collection.key, stretchKeys, segments: [...segments.values()], runs, isStale }
  return { info: await mergeRuns(tools, info), written }
}

/** The runs of an index that came after the segments. */
export async function writeMissingRuns(tools: SealTools, view: SealedView, field: string): Promise<SealedInfo> {
  const runs: RunInfo[] = []
  let entries: Entry[] = []
  const flush = async (): Promise<void> => {
    if (entries.length > 0) runs.push({ ...(await writeFile(tools, entries.sort(compareEntries), false)), level: 0 })
    entries = []
  }
  let count = 0
  for (const segment of view.segments.values()) {
    for (const [key, row] of await rowsOf(segment)) {
      const value = row[field] ?? null
      if (value !== null) entries.push({ value, key })
    }
    if (tools.pace.isDue) await tools.pace.rest()
    if (++count % segmentsPerRun === 0) await flush()
  }
  await flush()
  return await mergeRuns(tools, { ...view.info, runs: { ...view.info.runs, [field]: runs } })
}

async function mergeRuns(tools: SealTools, info: SealedInfo): Promise<SealedInfo> {
  const merged: { [field: string]: readonly RunInfo[] } = {}
  const view = new SealedView(info, tools)
  for (const [field, runs] of Object.entries(info.runs)) merged[field] = await mergeLevels(tools, view, runs)
  return { ...info, runs: merged }
}

async function mergeLevels(tools: SealTools, view: SealedView, all: readonly RunInfo[]): Promise<readonly RunInfo[]> {
  let runs = all
  for (let level = 0; runs.some((run) => run.level >= level); level++) {
    const same = runs.filter((run) => run.level === level)
    if (same.length < runsPerLevel) continue
    const cursors = same.map((run) => {
      const file = new SortedFile({ ...tools, info: run, path: path.join(tools.folder, run.file) })
      return new FileCursor(file, {})
    })
    const count = same.reduce((sum, run) => sum + run.count, 0)
    runs = runs.filter((run) => run.level !== level)
    const live = liveEntries(cursors, view)
    const first = await live.next()
    // All of them may have been of rows that are gone.
    if (first.done) continue
    const info = await writeFile(tools, rejoined(first.value, live), false, count)
    runs = [...runs, { ...info, level: level + 1 }]
  }
  return runs
}

/** Without entries of keys that no segment has any more. */
async function* liveEntries(cursors: readonly FileCursor[], view: SealedView): AsyncGenerator<Entry, void, undefined> {
  for await (const [entry] of mergeEntries(cursors, 'forward')) if (view.has(entry.key)) yield entry
}

async function* rejoined(first: Entry, rest: AsyncGenerator<Entry>): AsyncGenerator<Entry, void, undefined> {
  yield first
  yield* rest
}

async function rowsOf({ file }: Segment): Promise<ReadonlyMap<number, Row>> {
  const rows = new Map<number, Row>()
  const blocks = await file.blockCount()
  for (let i = 0; i < blocks; i++) {
    for (const { key, row } of await file.block(i)) if (row) rows.set(key, row)
  }
  return rows
}

async function writeFile(
  tools: SealTools,
  entries: readonly Entry[] | AsyncIterable<Entry>,
  hasRows: boolean,
  count = Array.isArray(entries) ? entries.length : 0,
): Promise<SortedInfo> {
  const file = tools.newName()
  return await writeSorted({
    disk: tools.disk,
    path: path.join(tools.folder, file),
    file,
    entries,
    count,
    hasRows,
    pace: tools.pace,
  })
}
