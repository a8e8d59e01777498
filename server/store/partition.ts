import path from 'node:path'
import type { BlockCache } from './block-cache.ts'
import type { Collection, Range, Row } from './contract.ts'
import type { Disk } from './disk.ts'
import { StoreDamaged } from './errors.ts'
import type { FileNumbers } from './file-numbers.ts'
import type { FilePool } from './file-pool.ts'
import type { Journal } from './journal.ts'
import type { Place } from './journal-scan.ts'
import type { Order } from './order.ts'
import type { Pace } from './pace.ts'
import { type Delta, findFiles } from './partition-files.ts'
import { ReadGate } from './read-gate.ts'
import { type Change, decodeChanges } from './record.ts'
import { checkedKey, checkRange, type Key } from './rows.ts'
import { type SealedInfo, SealedView, sealedNames } from './sealed.ts'
import { Segmented } from './segmented.ts'
import { readDelta, readSnapshot, type SnapshotHead } from './snapshot.ts'
import { Table } from './table.ts'

/** What all partitions of a store share. */
export interface Shared {
  readonly disk: Disk
  readonly journal: Journal
  readonly pool: FilePool
  readonly cache: BlockCache
  /** Keys of one stretch of a segmented collection. */
  readonly stretchKeys: number
  newPace(): Pace
  readonly fileNumbers: FileNumbers
  /** The newest position that readers can see. */
  position(): number
  /** The collection as the program declares it, once it has been used. */
  collectionOf(name: string): Collection | undefined
  /** Makes runs for an index that the sealed segments of the collection do not have. */
  indexSealed(partition: Partition, collection: Collection, field: string): Promise<void>
}

/**
 * A room's rows, or the server's own: a snapshot, deltas and the tail of the journal on the disk; when open, tables in memory.
 * Changes reach it in the order of their positions, open or not.
 */
export class Partition {
  readonly id: string
  readonly folder: string
  readonly gate = new ReadGate()
  tailBytes = 0
  /** Up to here all is in the partition's own files. Known once these were looked at. */
  saved: number | undefined
  snapshot: { readonly name: string; readonly bytes: number } | undefined
  deltas: readonly Delta[] = []
  /** The folder holds files of a room that has ended; nothing in there counts any more. */
  isToBeEmptied = false
  /** Counts how often the room ended. */
  endings = 0
  leases = 0
  /** Bytes of JSON of the last snapshot, and of what came since: about what the rows weigh. */
  weight = 0
  readonly #shared: Shared
  #tail: Place[] = []
  #tables: Map<string, Table> | undefined
  #segmented = new Map<string, Segmented>()
  /** Set while it is being opened: changes that come meanwhile. */
  #pending: { readonly position: number; readonly changes: readonly Change[] }[] | undefined
  #last: Promise<unknown> = Promise.resolve()
  #working = 0

  constructor(id: string, folder: string, shared: Shared) {
    this.id = id
    this.folder = folder
    this.#shared = shared
  }

  /** Changes that are in no file of the partition's own, oldest first; from the room's last end on, where it had one. */
  get tail(): readonly Place[] {
    return this.#tail
  }

  get isOpen(): boolean {
    return this.#tables !== undefined
  }

  /** Whether someone reads or writes its files. */
  get isBusy(): boolean {
    return this.#working > 0 || this.gate.isRead
  }

  get tables(): ReadonlyMap<string, Table> {
    return this.#tables ?? new Map()
  }

  /** How a segmented collection lies in files; made when it is first asked for. */
  segmentedOf(collection: Collection): Segmented {
    let segmented = this.#segmented.get(collection.name)
    if (!segmented) {
      const runs = Object.fromEntries(collection.indexes.map((field) => [field, []]))
      const info = { key: collection.key, stretchKeys: this.#shared.stretchKeys, segments: [], runs, isStale: false }
      segmented = this.#newSegmented(this.#tableOf(this.#opened(), collection.name), info, [])
    }
    this.#segmented.set(collection.name, segmented)
    return segmented
  }

  /** All that has sealed files. */
  get segmented(): ReadonlyMap<string, Segmented> {
    return this.#segmented
  }

  /** Works on the partition's files go one after the other. Not to be nested. */
  async locked<T>(work: () => Promise<T>): Promise<T> {
    this.#working++
    const mine = this.#last.then(work, work)
    this.#last = mine
    try {
      return await mine
    } finally {
      this.#working--
    }
  }

  /** A durable change, to be seen from now on; without `changes` one that was found in the journal at the start. */
  accept(place: Place, changes?: readonly Change[]): void {
    if (place.drop) {
      this.#tail = []
      this.tailBytes = 0
      this.weight = 0
      this.isToBeEmptied = true
      this.endings++
    }
    this.#tail.push(place)
    this.tailBytes += place.length
    this.weight += place.length
    if (!changes) return
    if (this.#pending) this.#pending.push({ position: place.position, changes })
    else if (this.#tables) this.#apply(this.#tables, place.position, changes)
  }

  /** Forgets the part of the tail that the partition's own files have by now. */
  cutTail(position: number): void {
    this.#tail = this.#tail.filter((place) => place.position > position)
    this.tailBytes = this.#tail.reduce((sum, place) => sum + place.length, 0)
  }

  async open(): Promise<void> {
    if (!this.#tables) await this.locked(() => this.openLocked())
  }

  /** Within `locked`. */
  async openLocked(): Promise<void> {
    while (!this.#tables) {
      const endings = this.endings
      try {
        await this.#load()
      } catch (error) {
        // What was being read is gone with the room that ended meanwhile.
        if (endings === this.endings) throw error
      }
    }
  }

  /** Lets the rows go; what is not in files is in the tail. */
  close(): void {
    this.#tables = undefined
    this.#segmented = new Map()
  }

  pathOf(name: string): string {
    return path.join(this.folder, name)
  }

  /**
   * Within `locked`: finds out which files there are, where that was not done yet.
   * @returns the names of all, if it has just been found out
   */
  async look(): Promise<readonly string[] | undefined> {
    if (this.isToBeEmptied) {
      this.saved = 0
      this.snapshot = undefined
      this.deltas = []
    }
    if (this.saved !== undefined) return undefined
    const found = await findFiles(this.#shared.disk, this.folder)
    if (found.saved > this.#shared.position()) {
      throw new StoreDamaged(`${this.folder} is newer than the journal, whose end is missing`)
    }
    // A process that was killed may have renamed a file without having synced the folder. The journal may go only after that.
    if (this.#tail.some((place) => place.position <= found.saved)) await this.#shared.disk.syncFolder(this.folder)
    this.snapshot = found.snapshot
    this.deltas = found.deltas
    this.saved = found.saved
    this.cutTail(found.saved)
    return found.names
  }

  async #load(): Promise<void> {
    const { disk, journal } = this.#shared
    const pace = this.#shared.newPace()
    const names = await this.look()
    const tables = new Map<string, Table>()
    const ended = this.isToBeEmptied
    this.#segmented = new Map()
    // Settled in one turn: what is read from the journal, and that all later changes are kept until then.
    const tail = [...this.tail]
    this.#pending = []
    try {
      let head: SnapshotHead | undefined
      if (this.snapshot) {
        await readSnapshot({
          disk,
          file: this.pathOf(this.snapshot.name),
          partition: this.id,
          pace,
          onHead: (read) => {
            head = read
          },
          onRow: (collection, key, row) => this.#tableOf(tables, collection).rows.set(key, row),
        })
        if (head) this.#restore(tables, head)
      }
      for (const delta of this.deltas) {
        await readDelta({
          disk,
          file: this.pathOf(delta.name),
          partition: this.id,
          pace,
          onSection: (json) => this.#apply(tables, delta.to, decodeChanges(json)),
        })
      }
      if (!ended) await this.#removeStrays(head, names ?? (await this.#shared.disk.list(this.folder)))
      for (const [i, section] of (await journal.read(tail)).entries()) {
        this.#apply(tables, (tail[i] as Place).position, decodeChanges(section.toString('utf8')))
        if (pace.isDue) await pace.rest()
      }
      for (const { position, changes } of this.#pending) this.#apply(tables, position, changes)
      this.#tables = tables
    } catch (error) {
      this.#segmented = new Map()
      throw error
    } finally {
      this.#pending = undefined
    }
    const own = [this.snapshot, ...this.deltas].reduce((sum, file) => sum + (file?.bytes ?? 0), 0)
    this.weight = own + this.tailBytes
  }

  #restore(tables: Map<string, Table>, head: SnapshotHead): void {
    this.#shared.fileNumbers.atLeast(head.nextFile)
    for (const [name, { removed, ...info }] of Object.entries(head.sealed)) {
      this.#segmented.set(name, this.#newSegmented(this.#tableOf(tables, name), info, removed))
    }
  }

  #newSegmented(table: Table, info: SealedInfo, removed: readonly number[]): Segmented {
    const view = new SealedView(info, { ...this.#shared, folder: this.folder })
    return new Segmented({ table, view, removed, gate: this.gate, position: this.#shared.position })
  }

  /** Files that an interrupted work left behind. */
  async #removeStrays(head: SnapshotHead | undefined, names: readonly string[]): Promise<void> {
    const known = new Set([this.snapshot?.name, ...this.deltas.map((delta) => delta.name)])
    for (const info of Object.values(head?.sealed ?? {})) for (const name of sealedNames(info)) known.add(name)
    for (const name of names) {
      if (!known.has(name)) await this.#shared.disk.remove(this.pathOf(name))
    }
  }

  #apply(tables: Map<string, Table>, position: number, changes: readonly Change[]): void {
    for (const change of changes) {
      if (change === 'drop') {
        tables.clear()
        this.#segmented.clear()
        continue
      }
      this.#segmented.get(change.collection)?.change(change.key, position)
      const table = this.#tableOf(tables, change.collection)
      if (change.row) table.put(change.key, change.row)
      else table.remove(change.key)
    }
  }

  #tableOf(tables: Map<string, Table>, name: string): Table {
    let table = tables.get(name)
    if (!table) {
      table = new Table(this.#shared.newPace, 2 * this.#shared.stretchKeys)
      tables.set(name, table)
    }
    return table
  }

  #opened(): Map<string, Table> {
    if (!this.#tables) throw new Error(`partition ${this.id || 'home'} is closed`)
    return this.#tables
  }

  get(collection: Collection, key: Key): Row | undefined | Promise<Row | undefined> {
    const tables = this.#opened()
    const wanted = checkedKey(collection, key)
    const segmented = this.#segmented.get(collection.name)
    return segmented ? segmented.get(wanted) : tables.get(collection.name)?.rows.get(wanted)
  }

  async range(collection: Collection, range: Range): Promise<readonly Row[]> {
    checkRange(collection, range)
    return await this.#withIndex(collection, range.index, (order, segmented) =>
      segmented ? segmented.range(order, collection, range) : order.collect(range),
    )
  }

  async count(collection: Collection, range?: Omit<Range, 'limit' | 'direction'>): Promise<number> {
    const { name } = collection
    if (!range) return this.#segmented.get(name)?.count ?? this.#opened().get(name)?.rows.size ?? 0
    checkRange(collection, range)
    return await this.#withIndex(collection, range.index, (order, segmented) =>
      segmented ? segmented.countWithin(order, collection, range) : order.countWithin(range),
    )
  }

  /** @param read is called when all is there, and settles what it reads before its first wait: one moment's state */
  async #withIndex<T>(
    collection: Collection,
    field: string,
    read: (order: Order, segmented: Segmented | undefined) => T | Promise<T>,
  ): Promise<T> {
    for (;;) {
      const order = this.#tableOf(this.#opened(), collection.name).order(collection, field)
      const segmented = this.#segmented.get(collection.name)
      if (order instanceof Promise) await order
      else if (segmented && !segmented.isIndexed(collection, field)) {
        await this.#shared.indexSealed(this, collection, field)
      } else return await read(order, segmented)
    }
  }
}
