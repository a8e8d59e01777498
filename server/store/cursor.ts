/**
 * Several ordered sources read as one. A source that lies on the disk says a place before which it has nothing, and is read
 * only when that place is the next.
 */
import { stemOfRange } from './bloom.ts'
import type { Range, Row, Scalar } from './contract.ts'
import { isWithin } from './rows.ts'
import { compareEntries, type Entry, firstNotBefore, type SortedFile } from './sorted-file.ts'

export type Bounds = Pick<Range, 'from' | 'to' | 'direction'>
type Head = Pick<Entry, 'value' | 'key'>

export interface Cursor {
  /** The next entry, or while it `isPending` a place that is not after it; `undefined` at the end. */
  readonly head: Head | undefined
  readonly isPending: boolean
  /** Makes the head exact. */
  load(): Promise<void>
  /** The next entry, when it is not pending. */
  take(): Entry
}

/** Rows that are in memory, already in order and within the bounds. */
export function rowsCursor(rows: readonly Row[], field: string, keyField: string): Cursor {
  const entries = rows.map((row): Entry => ({ value: row[field] as Scalar, key: row[keyField] as number, row }))
  let at = 0
  return {
    get head() {
      return entries[at]
    },
    isPending: false,
    load: async () => {},
    take: () => entries[at++] as Entry,
  }
}

/** The entries of a sorted file within the bounds. */
export class FileCursor implements Cursor {
  readonly #file: SortedFile
  readonly #bounds: Bounds
  readonly #isBackward: boolean
  #entries: readonly Entry[] = []
  #at = 0
  #block: number | undefined
  #bound: Head | undefined

  constructor(file: SortedFile, bounds: Bounds) {
    this.#file = file
    this.#bounds = bounds
    this.#isBackward = bounds.direction === 'backward'
    this.#bound = firstPlace(file, bounds)
  }

  get head(): Head | undefined {
    return this.#entries[this.#at] ?? this.#bound
  }

  get isPending(): boolean {
    return this.#at >= this.#entries.length && this.#bound !== undefined
  }

  async load(): Promise<void> {
    const block = await this.#nextBlock()
    if (block === undefined) {
      this.#bound = undefined
      return
    }
    this.#block = block
    const all = await this.#file.block(block)
    const inside = all.slice(...this.#placesWithin(all))
    const isLast = this.#isBackward ? block === 0 : block === (await this.#file.blockCount()) - 1
    // Bounds are passed when entries of this block lie beyond them.
    const far = this.#isBackward ? all[0] : all.at(-1)
    const isPassed = far !== undefined && !isWithin(far.value, this.#farBound())
    this.#entries = this.#isBackward ? inside.reverse() : inside
    this.#at = 0
    this.#bound = isLast || isPassed ? undefined : far
  }

  take(): Entry {
    return this.#entries[this.#at++] as Entry
  }

  async #nextBlock(): Promise<number | undefined> {
    if (this.#block !== undefined) return this.#block + (this.#isBackward ? -1 : 1)
    const stem = stemOfRange(this.#bounds.from, this.#bounds.to)
    if (stem !== undefined && !(await this.#file.mayHaveStem(stem))) return undefined
    const { from, to } = this.#bounds
    if (this.#isBackward) {
      if (to === undefined) return (await this.#file.blockCount()) - 1
      return await this.#file.blockOf({ value: to, key: Number.NEGATIVE_INFINITY })
    }
    return from === undefined ? 0 : await this.#file.blockOf({ value: from, key: Number.NEGATIVE_INFINITY })
  }

  #placesWithin(entries: readonly Entry[]): [number, number] {
    const { from, to } = this.#bounds
    const place = (value: string | number): number => firstNotBefore(entries, { value, key: Number.NEGATIVE_INFINITY })
    const end = to === undefined ? entries.length : place(to)
    return [from === undefined ? 0 : Math.min(place(from), end), end]
  }

  #farBound(): Bounds {
    return this.#isBackward ? { from: this.#bounds.from } : { to: this.#bounds.to }
  }
}

/** Where the file's entries within the bounds begin at the earliest; `undefined` when it has none for certain. */
function firstPlace(file: SortedFile, { from, to, direction }: Bounds): Head | undefined {
  const min = { value: file.info.min[0], key: file.info.min[1] }
  const max = { value: file.info.max[0], key: file.info.max[1] }
  if (!isWithin(max.value, { from }) || !isWithin(min.value, { to })) return undefined
  if (direction === 'backward') {
    const edge = to === undefined ? max : { value: to, key: Number.NEGATIVE_INFINITY }
    return compareEntries(edge, max) < 0 ? edge : max
  }
  const edge = from === undefined ? min : { value: from, key: Number.NEGATIVE_INFINITY }
  return compareEntries(edge, min) > 0 ? edge : min
}

/** Files that follow each other without overlap, in the order of reading. */
export function chainCursor(files: readonly SortedFile[], bounds: Bounds): Cursor {
  let at = 0
  let cursor = files[0] && new FileCursor(files[0], bounds)
  function skipEnded(): void {
    while (cursor && !cursor.head) {
      const next = files[++at]
      cursor = next && new FileCursor(next, bounds)
    }
  }
  skipEnded()
  return {
    get head() {
      return cursor?.head
    },
    get isPending() {
      return cursor?.isPending ?? false
    },
    async load() {
      await cursor?.load()
      skipEnded()
    },
    take() {
      const entry = (cursor as FileCursor).take()
      skipEnded()
      return entry
    },
  }
}

/**
 * The entries of all sources in order, each once; of equal ones that of the earlier source.
 */
export async function* mergeEntries(
  cursors: readonly Cursor[],
  direction: Range['direction'],
): AsyncGenerator<readonly [Entry, Cursor], void, undefined> {
  const sign = direction === 'backward' ? -1 : 1
  let last: Entry | undefined
  for (;;) {
    let next: Cursor | undefined
    for (const cursor of cursors) {
      if (!cursor.head) continue
      if (!next?.head || sign * compareEntries(cursor.head, next.head) < 0) next = cursor
    }
    if (!next) return
    if (next.isPending) {
      await next.load()
      continue
    }
    const entry = next.take()
    if (last && compareEntries(last, entry) === 0) continue
    last = entry
    yield [entry, next]
  }
}
