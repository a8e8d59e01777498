/** How a partition's changes get from the journal into files of its own. All of it within the partition's lock. */
import path from 'node:path'
import { type Collection, type Row, StorageFailed } from './contract.ts'
import { errorCode } from './disk.ts'
import { StoreDamaged } from './errors.ts'
import type { Place } from './journal-scan.ts'
import type { Pace } from './pace.ts'
import type { Partition, Shared } from './partition.ts'
import type { Key } from './rows.ts'
import { planSealing, type Sealing, type SealTools, type StretchPlan, writeMissingRuns, writeSealing } from './seal.ts'
import { type SealedInfo, SealedView, sealedNames } from './sealed.ts'
import type { Segmented } from './segmented.ts'
import { deltaName, type SnapshotHead, snapshotName, writeDelta, writeSnapshot } from './snapshot.ts'
import type { Table } from './table.ts'

/** Below this, changes are kept as deltas; above, they are worth a snapshot when they outweigh the last one. */
const worthSnapshotBytes = 256 * 1024
const worthOpeningBytes = 4 * 1024 * 1024
const manyDeltas = 16
const deltaBytes = 4 * 1024 * 1024
/** Rows that leave the memory in one turn after they were sealed. */
const rowsAtOnce = 200

/**
 * After this the journal is not needed any more for what the partition had at the time of the call. Costs in proportion to the
 * changes, not to the partition: a snapshot is written when as many changes have come together as the last one had bytes.
 */
export async function save(partition: Partition, shared: Shared): Promise<void> {
  if (partition.isToBeEmptied) await emptyFolder(partition, shared)
  await partition.look()
  if (partition.tail.length === 0) return
  const base = partition.snapshot?.bytes ?? 0
  const changed = partition.deltas.reduce((sum, delta) => sum + delta.bytes, partition.tailBytes)
  const isWorth = partition.isOpen
    ? changed > Math.max(worthSnapshotBytes, base)
    : changed > Math.max(worthOpeningBytes, 2 * base)
  if (!isWorth && partition.deltas.length < manyDeltas) await saveDelta(partition, shared)
  else await saveOpened(partition, shared)
}

/** A snapshot of a partition that may be closed, and then is closed again: nobody else would. */
async function saveOpened(partition: Partition, shared: Shared): Promise<void> {
  const wasOpen = partition.isOpen
  try {
    await partition.openLocked()
  } catch (error) {
    if (!(error instanceof StoreDamaged)) throw error
    // One broken room must not keep the journal of all from getting shorter; whoever opens the room is told.
    return await saveDelta(partition, shared)
  }
  try {
    await saveSnapshot(partition, shared)
  } finally {
    if (!wasOpen && partition.leases === 0) partition.close()
  }
}

async function saveDelta(partition: Partition, shared: Shared): Promise<void> {
  await makeFolder(partition, shared)
  // A room that has just ended: its folder is to be emptied first, and nothing may be put there until then.
  if (partition.isToBeEmptied) return
  const places = [...partition.tail]
  const { endings } = partition
  while (places.length > 0 && partition.endings === endings) {
    const some = firstOf(places)
    const after = partition.saved ?? 0
    const to = (some.at(-1) as Place).position
    const sections = await shared.journal.read(some).catch((error: unknown) => {
      // Of a room that ended meanwhile the journal need not keep what was before.
      if (partition.endings !== endings) return []
      throw error
    })
    if (partition.endings !== endings) return
    const { disk, newPace } = shared
    const { folder, id } = partition
    const bytes = await writeDelta({ disk, folder, partition: id, after, to, sections, pace: newPace() })
    if (partition.endings !== endings) return
    partition.deltas = [...partition.deltas, { name: deltaName(after, to), after, to, bytes }]
    partition.saved = to
    partition.cutTail(to)
  }
}

/** Takes as many of the places as one delta should have. */
function firstOf(places: Place[]): readonly Place[] {
  let bytes = 0
  const end = places.findIndex((place) => {
    bytes += place.length
    return bytes >= deltaBytes
  })
  return places.splice(0, end < 0 ? places.length : end + 1)
}

interface SealWork {
  readonly collection: Collection
  readonly table: Table
  readonly segmented: Segmented
  readonly plans: readonly StretchPlan[]
  /** Rows in memory at the time of the plan. */
  readonly rowCount: number
}

/**
 * After this no file of the partition holds a row as it was before a change that was made before the call.
 * @throws StoreDamaged for a file that is not as it was written
 */
export async function scrub(partition: Partition, shared: Shared): Promise<void> {
  const wasOpen = partition.isOpen
  await partition.openLocked()
  try {
    const isStale =
      partition.tail.length > 0 ||
      partition.deltas.length > 0 ||
      partition.isToBeEmptied ||
      [...partition.segmented.values()].some(({ hidden }) => hidden.size > 0)
    if (isStale) await saveSnapshot(partition, shared, true)
  } finally {
    if (!wasOpen && partition.leases === 0) partition.close()
  }
}

/**
 * Writes all rows of the open partition, sealing what is to be sealed. Commits go on meanwhile.
 * @param isThorough whatever is sealed and has changed is written anew
 */
export async function saveSnapshot(partition: Partition, shared: Shared, isThorough = false): Promise<void> {
  if (partition.isToBeEmptied) await emptyFolder(partition, shared)
  await partition.look()
  // In one turn: that the room has not ended, the position, and what is to be sealed as of it.
  if (partition.isToBeEmptied) return
  const position = shared.position()
  const { endings } = partition
  const works = planAll(partition, shared, isThorough)
  const old = [partition.snapshot, ...partition.deltas].flatMap((file) => file?.name ?? [])
  const oldSealed = [...partition.segmented.values()].flatMap(({ view }) => sealedNames(view.info))

  const writing = await writeAll(partition, shared, { position, works })
  // Of a room that ended meanwhile nothing is to be kept; its folder will be emptied.
  if (partition.endings !== endings) return
  partition.snapshot = { name: snapshotName(position), bytes: writing.bytes }
  partition.deltas = []
  partition.saved = position
  partition.cutTail(position)
  partition.weight = writing.bytes + partition.tailBytes
  for (const { table, segmented, rowCount } of works) {
    const sealed = writing.sealed.get(segmented)
    if (sealed) await moveOut({ table, segmented, ...sealed, pace: shared.newPace() })
    const { stretchKeys } = segmented.view.info
    // What could not be sealed this time is not tried again before more has come.
    table.sealAt = Math.max(2 * stretchKeys, rowCount - (sealed?.written.size ?? 0) + stretchKeys / 2)
  }

  const kept = new Set([...partition.segmented.values()].flatMap(({ view }) => sealedNames(view.info)))
  const unused = [...old, ...oldSealed].filter((name) => !kept.has(name) && name !== snapshotName(position))
  await partition.gate.turn()
  for (const name of unused) {
    await shared.pool.forget(partition.pathOf(name))
    await shared.disk.remove(partition.pathOf(name))
  }
}

interface Sealed {
  readonly view: SealedView
  readonly written: Sealing['written']
}

/** The sealed files first, then the snapshot that names them. */
async function writeAll(
  partition: Partition,
  shared: Shared,
  { position, works }: { readonly position: number; readonly works: readonly SealWork[] },
): Promise<{ readonly bytes: number; readonly sealed: ReadonlyMap<Segmented, Sealed> }> {
  await makeFolder(partition, shared)
  const [tools, names] = toolsFor(partition, shared, position)
  const sealed = new Map<Segmented, Sealed>()
  try {
    for (const { collection, segmented, plans } of works) {
      if (plans.length === 0) continue
      const { info, written } = await writeSealing({ tools, collection, view: segmented.view, plans })
      sealed.set(segmented, { view: new SealedView(info, tools), written })
    }
    if (names.length > 0) await shared.disk.syncFolder(partition.folder)
    const bytes = await writeSnapshot({
      disk: shared.disk,
      folder: partition.folder,
      head: headOf(partition, { position, nextFile: shared.fileNumbers.next }, sealed),
      sources: [...partition.tables].map(([collection, table]) => ({
        collection,
        rows: unsealed(table, sealed.get(partition.segmented.get(collection) as Segmented)?.written),
      })),
      pace: shared.newPace(),
    })
    return { bytes, sealed }
  } catch (error) {
    // After a failed sync the snapshot that names the files may be there. Else they are strays, which go now or at the next
    // opening.
    for (const name of error instanceof StorageFailed ? [] : names) {
      await shared.disk.remove(partition.pathOf(name)).catch(() => undefined)
    }
    throw error
  }
}

/** Whether memory has so many rows of a segmented collection that some should be sealed. */
export function isSealingDue(partition: Partition, shared: Shared): boolean {
  for (const [name, table] of partition.tables) {
    if (table.rows.size >= table.sealAt && shared.collectionOf(name)?.segmented) return true
  }
  return false
}

function planAll(partition: Partition, shared: Shared, isThorough: boolean): readonly SealWork[] {
  const works: SealWork[] = []
  for (const [name, table] of partition.tables) {
    const collection = shared.collectionOf(name) ?? (isThorough ? collectionIn(partition, name) : undefined)
    if (!collection?.segmented) continue
    const segmented = partition.segmentedOf(collection)
    works.push({
      collection,
      table,
      segmented,
      plans: planSealing(table, segmented, isThorough),
      rowCount: table.rows.size,
    })
  }
  return works
}

/** A segmented collection as its files tell it, which the program has not used yet. */
function collectionIn(partition: Partition, name: string): Collection | undefined {
  const info = partition.segmented.get(name)?.view.info
  return info && { name, place: 'room', key: info.key, indexes: Object.keys(info.runs), segmented: true }
}

function toolsFor(partition: Partition, shared: Shared, position: number): [SealTools, readonly string[]] {
  const written: string[] = []
  const tools: SealTools = {
    disk: shared.disk,
    folder: partition.folder,
    pool: shared.pool,
    cache: shared.cache,
    pace: shared.newPace(),
    newName() {
      const name = `sealed-${position}-${shared.fileNumbers.take()}`
      written.push(name)
      return name
    },
  }
  return [tools, written]
}

function headOf(
  partition: Partition,
  { position, nextFile }: Pick<SnapshotHead, 'position' | 'nextFile'>,
  fresh: ReadonlyMap<Segmented, Sealed>,
): SnapshotHead {
  const sealed: { [collection: string]: SealedInfo & { removed: readonly number[] } } = {}
  for (const [name, segmented] of partition.segmented) {
    const { view, written } = fresh.get(segmented) ?? { view: segmented.view, written: new Map<number, Row>() }
    const rows = partition.tables.get(name)?.rows
    const maybe = new Set([...segmented.hidden.keys(), ...written.keys()])
    sealed[name] = { ...view.info, removed: [...maybe].filter((key) => view.has(key) && !rows?.has(key)) }
  }
  return { partition: partition.id, position, nextFile, sealed }
}

/** The rows of the table that were not sealed as they are now. */
function* unsealed(table: Table, written: Sealing['written'] | undefined): Generator<readonly [Key, Row]> {
  for (const entry of table.rows) if (written?.get(entry[0] as number) !== entry[1]) yield entry
}

/** From now on sealed rows are read from the files; they leave the memory by and by, unless they changed meanwhile. */
async function moveOut(options: {
  readonly table: Table
  readonly segmented: Segmented
  readonly view: SealedView
  readonly written: Sealing['written']
  readonly pace: Pace
}): Promise<void> {
  const { table, segmented, view, written, pace } = options
  segmented.show(view, written.keys())
  const keys = [...written.keys()]
  for (let at = 0; at < keys.length; at += rowsAtOnce) {
    const same = keys.slice(at, at + rowsAtOnce).filter((key) => table.rows.get(key) === written.get(key))
    segmented.uncover(same)
    for (const key of same) table.remove(key)
    if (pace.isDue) await pace.rest()
  }
}

/** Makes the runs of an index that came after the segments; they are kept with the next snapshot. */
export async function indexSealed(
  partition: Partition,
  shared: Shared,
  options: {
    readonly collection: Collection
    readonly field: string
  },
): Promise<void> {
  const { collection, field } = options
  if (!partition.isOpen) return
  const segmented = partition.segmentedOf(collection)
  if (segmented.isIndexed(collection, field)) return
  const [tools] = toolsFor(partition, shared, shared.position())
  const info = await writeMissingRuns(tools, segmented.view, field)
  // The snapshot that names these files may sync nothing else in the folder before it is renamed.
  await shared.disk.syncFolder(partition.folder)
  segmented.show(new SealedView(info, tools), [])
}

/** Removes all files of a room that has ended. Until that is done the journal says that it has. */
export async function emptyFolder(partition: Partition, shared: Shared): Promise<void> {
  const { endings, folder } = partition
  await partition.gate.turn()
  const names = await shared.disk.list(folder)
  for (const name of names) {
    await shared.pool.forget(partition.pathOf(name))
    await shared.disk.remove(partition.pathOf(name))
  }
  await syncIfThere(shared, folder)
  await shared.disk.removeFolder(folder)
  await shared.disk.syncFolder(path.dirname(folder))
  partition.saved = 0
  partition.snapshot = undefined
  partition.deltas = []
  if (partition.endings !== endings) return
  partition.isToBeEmptied = false
  const [only, second] = partition.tail
  // Nothing came after the end: there is nothing left to know of this room.
  if (only?.drop === 2 && !second) partition.cutTail(only.position)
}

/** Also when it is empty by now: a process that was killed may have removed the files without having synced the folder. */
async function syncIfThere({ disk }: Shared, folder: string): Promise<void> {
  try {
    await disk.syncFolder(folder)
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error
  }
}

async function makeFolder(partition: Partition, shared: Shared): Promise<void> {
  await shared.disk.makeFolder(partition.folder)
  await shared.disk.syncFolder(path.dirname(partition.folder))
}
