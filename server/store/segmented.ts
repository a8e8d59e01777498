import type { Collection, Range, Row } from './contract.ts'
import { chainCursor, FileCursor, mergeEntries, rowsCursor } from './cursor.ts'
import type { Order } from './order.ts'
import type { ReadGate } from './read-gate.ts'
import { isWithin, type Key } from './rows.ts'
import type { SealedView } from './sealed.ts'
import type { Entry, SortedFile } from './sorted-file.ts'
import type { Table } from './table.ts'

/**
 * Reads a segmented collection as one: rows in memory (new ones, and changed ones that hide what is sealed) and rows in files.
 *
 * What a reader sees is settled in one turn, before its first wait: the rows in memory that lie in its range, the view of the
 * files, and which sealed rows are hidden. So commits that come while it reads files change nothing for it.
 */
export class Segmented {
  readonly #table: Table
  readonly #position: () => number
  readonly #gate: ReadGate
  #view: SealedView
  /**
   * Sealed keys that are hidden by a row in memory, or were removed; and the position since when. Commits add to it;
   * everything else puts another map in its place.
   */
  #hidden: ReadonlyMap<number, number> & Pick<Map<number, number>, 'set'>

  /**
   * @param options.position the newest one that readers can see
   * @param options.removed sealed keys that were removed
   */
  constructor(options: {
    readonly table: Table
    readonly view: SealedView
    readonly gate: ReadGate
    readonly removed: readonly number[]
    position(): number
  }) {
    const { table, view, removed } = options
    this.#table = table
    this.#view = view
    this.#gate = options.gate
    this.#position = options.position
    const hidden = new Map<number, number>()
    for (const key of removed) hidden.set(key, 0)
    for (const key of table.rows.keys()) if (view.has(key as number)) hidden.set(key as number, 0)
    this.#hidden = hidden
  }

  get view(): SealedView {
    return this.#view
  }

  get hidden(): ReadonlyMap<number, number> {
    return this.#hidden
  }

  get count(): number {
    return this.#table.rows.size + this.#view.count - this.#hidden.size
  }

  /** A row is about to be put or removed by the commit of this position. */
  change(key: Key, position: number): void {
    const sealed = key as number
    if (this.#view.has(sealed) && !this.#hidden.has(sealed)) this.#hidden.set(sealed, position)
  }

  /** Another view, in which the given keys are (for the moment) hidden. Readers under way keep what they have. */
  show(view: SealedView, hide: Iterable<number>): void {
    const hidden = new Map<number, number>()
    for (const [key, position] of this.#hidden) if (view.has(key)) hidden.set(key, position)
    for (const key of hide) if (!hidden.has(key)) hidden.set(key, 0)
    this.#view = view
    this.#hidden = hidden
  }

  /** These keys are from now on read from the files. Their rows have to leave the table in the same turn. */
  uncover(keys: Iterable<number>): void {
    const hidden = new Map(this.#hidden)
    for (const key of keys) hidden.delete(key)
    this.#hidden = hidden
  }

  get(key: Key): Row | undefined | Promise<Row | undefined> {
    const row = this.#table.rows.get(key)
    if (row || typeof key !== 'number' || !this.#view.has(key) || this.#hidden.has(key)) return row
    return this.#gate.reading(() => this.#view.row(key))
  }

  /** Whether the sealed rows are in this index, too. */
  isIndexed(collection: Collection, field: string): boolean {
    return field === collection.key || this.#view.runs(field) !== undefined
  }

  /** @param order the index of the rows in memory */
  async range(order: Order, collection: Collection, range: Range): Promise<readonly Row[]> {
    const isByKey = range.index === collection.key
    const memory = order.collect(range)
    const files = isByKey ? this.#view.segmentsWithin(range) : this.#runFiles(range.index)
    if (files.length === 0) return memory
    const limit = range.limit ?? Number.POSITIVE_INFINITY
    const view = this.#view
    const isHidden = this.#hiddenNow()
    const first = rowsCursor(memory, range.index, collection.key)
    const rest = isByKey ? [chainCursor(files, range)] : files.map((file) => new FileCursor(file, range))
    return await this.#gate.reading(async () => {
      const found: Row[] = []
      for await (const [entry, source] of mergeEntries([first, ...rest], range.direction)) {
        if (source !== first && isHidden(entry.key)) continue
        const row = entry.row ?? (await rowOf(view, entry, range.index))
        if (row) found.push(row)
        if (found.length >= limit) break
      }
      return found
    })
  }

  async countWithin(order: Order, collection: Collection, range: Omit<Range, 'limit' | 'direction'>): Promise<number> {
    if (range.index === collection.key) {
      let count = order.countWithin(range) + this.#view.countKeysWithin(range)
      for (const key of this.#hidden.keys()) if (isWithin(key, range)) count--
      return count
    }
    let count = order.countWithin(range)
    const field = range.index
    const cursors = this.#runFiles(field).map((file) => new FileCursor(file, range))
    const view = this.#view
    const isHidden = this.#hiddenNow()
    return await this.#gate.reading(async () => {
      for await (const [entry] of mergeEntries(cursors, 'forward')) {
        if (isHidden(entry.key)) continue
        if (!view.info.isStale || (await rowOf(view, entry, field))) count++
      }
      return count
    })
  }

  #runFiles(field: string): readonly SortedFile[] {
    const runs = this.#view.runs(field)
    if (!runs) throw new Error(`the index ${field} is not there yet`)
    return runs.map((run) => run.file)
  }

  /** Whether a sealed key is hidden for one who reads from now on, whatever is committed meanwhile. */
  #hiddenNow(): (key: number) => boolean {
    const hidden = this.#hidden
    const position = this.#position()
    return (key) => (hidden.get(key) ?? Number.POSITIVE_INFINITY) <= position
  }
}

/** The row of an index entry; `undefined` when the row has another value by now, or is gone. */
async function rowOf(view: SealedView, entry: Entry, field: string): Promise<Row | undefined> {
  const row = await view.row(entry.key)
  return row?.[field] === entry.value ? row : undefined
}
