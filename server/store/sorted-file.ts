/**
 * A file that is written once and then only read: entries in the order of a value, and of keys where values are the same, in
 * blocks of about 16 KiB. Segments are such files (value and key are the same, each entry has its row), and so are the parts
 * of their indexes (entries without rows). The last frame says where each block begins; the partition's snapshot knows where
 * that frame is, so a file costs nothing until it is looked into.
 */
import type { BlockCache } from './block-cache.ts'
import { Bloom, stemOf } from './bloom.ts'
import type { Row, Scalar } from './contract.ts'
import type { Disk } from './disk.ts'
import { StoreDamaged } from './errors.ts'
import type { FilePool } from './file-pool.ts'
import { openFrame, textFrame } from './frames.ts'
import type { Pace } from './pace.ts'
import { compareValues } from './rows.ts'

/** Keys of segmented collections are integers. */
export interface Entry {
  readonly value: Scalar
  readonly key: number
  readonly row?: Row
}

/** What a snapshot keeps of a sorted file. */
export interface SortedInfo {
  /** The name in the partition's folder. */
  readonly file: string
  readonly count: number
  readonly min: readonly [Scalar, number]
  readonly max: readonly [Scalar, number]
  /** Where the frame with the list of blocks lies, and its length. */
  readonly foot: readonly [number, number]
}

interface Foot {
  /** Offset, length, and first entry of each. */
  readonly blocks: readonly (readonly [number, number, Scalar, number])[]
  readonly bloom: string | null
}

const blockBytes = 16 * 1024

export function compareEntries(a: Pick<Entry, 'value' | 'key'>, b: Pick<Entry, 'value' | 'key'>): number {
  return compareValues(a.value, b.value) || a.key - b.key
}

/**
 * Writes and syncs the file; its name lasts only after its folder is synced, too.
 * @param options.entries in order, at least one
 * @param options.count at least as many as there are
 */
export async function writeSorted(options: {
  readonly disk: Disk
  readonly path: string
  readonly file: string
  readonly entries: Iterable<Entry> | AsyncIterable<Entry>
  readonly count: number
  readonly hasRows: boolean
  readonly pace: Pace
}): Promise<SortedInfo> {
  const { pace, hasRows } = options
  const handle = await options.disk.open(options.path, 'create')
  try {
    const bloom = Bloom.forCount(options.count)
    const blocks: Foot['blocks'][number][] = []
    let hasTexts = false
    let offset = 0
    let count = 0
    let min: Entry | undefined
    let max: Entry | undefined
    let first: Entry | undefined
    let texts: string[] = []
    let length = 0
    const flush = async (): Promise<void> => {
      if (!first) return
      const frame = textFrame(`[${texts.join(',')}]`)
      await handle.write(offset, frame)
      blocks.push([offset, frame.length, first.value, first.key])
      offset += frame.length
      first = undefined
      texts = []
      length = 0
    }
    for await (const entry of options.entries) {
      min ??= entry
      max = entry
      first ??= entry
      count++
      const text = hasRows ? JSON.stringify(entry.row) : `${JSON.stringify(entry.value)},${entry.key}`
      texts.push(text)
      length += text.length
      if (!hasRows && typeof entry.value === 'string') {
        hasTexts = true
        bloom.add(stemOf(entry.value))
      }
      if (length >= blockBytes) await flush()
      if (pace.isDue) await pace.rest()
    }
    await flush()
    if (!min || !max) throw new Error('a sorted file has at least one entry')
    const foot: Foot = { blocks, bloom: hasTexts ? bloom.toText() : null }
    const frame = textFrame(JSON.stringify(foot))
    await handle.write(offset, frame)
    await handle.sync()
    return {
      file: options.file,
      count,
      min: [min.value, min.key],
      max: [max.value, max.key],
      foot: [offset, frame.length],
    }
  } finally {
    await handle.close()
  }
}

export class SortedFile {
  readonly info: SortedInfo
  readonly path: string
  readonly #pool: FilePool
  readonly #cache: BlockCache
  /** The field that is the key of the rows; `undefined` for entries without rows. */
  readonly #keyField: string | undefined

  constructor(options: {
    readonly info: SortedInfo
    readonly path: string
    readonly pool: FilePool
    readonly cache: BlockCache
    readonly keyField?: string
  }) {
    this.info = options.info
    this.path = options.path
    this.#pool = options.pool
    this.#cache = options.cache
    this.#keyField = options.keyField
  }

  async blockCount(): Promise<number> {
    return (await this.#foot()).blocks.length
  }

  /** The last block that may begin before the entry, or the first block. */
  async blockOf(entry: Pick<Entry, 'value' | 'key'>): Promise<number> {
    const { blocks } = await this.#foot()
    let low = 0
    let high = blocks.length
    while (low < high) {
      const middle = (low + high) >> 1
      const [, , value, key] = blocks[middle] as Foot['blocks'][number]
      if (compareEntries({ value, key }, entry) <= 0) low = middle + 1
      else high = middle
    }
    return Math.max(0, low - 1)
  }

  async block(number: number): Promise<readonly Entry[]> {
    const { blocks } = await this.#foot()
    const [offset, length] = blocks[number] as Foot['blocks'][number]
    return await this.#cache.get(`${this.path}:${offset}`, length, async () => {
      const json = await this.#frame(offset, length)
      const keyField = this.#keyField
      if (keyField !== undefined) {
        return (json as Row[]).map((row): Entry => {
          const key = row[keyField] as number
          return { value: key, key, row: Object.freeze(row) }
        })
      }
      const list = json as Scalar[]
      const entries: Entry[] = []
      for (let i = 0; i < list.length; i += 2) entries.push({ value: list[i] as Scalar, key: list[i + 1] as number })
      return entries
    })
  }

  /** The row of the key, in a file with rows. */
  async find(key: number): Promise<Row | undefined> {
    const wanted = { value: key, key }
    const entries = await this.block(await this.blockOf(wanted))
    const found = entries[firstNotBefore(entries, wanted)]
    return found?.key === key ? found.row : undefined
  }

  /** `false` when no value in here has this stem. */
  async mayHaveStem(stem: string): Promise<boolean> {
    const { bloom } = await this.#foot()
    return bloom === null || bloom.mayHave(stem)
  }

  async #foot(): Promise<{ readonly blocks: Foot['blocks']; readonly bloom: Bloom | null }> {
    const [offset, length] = this.info.foot
    return await this.#cache.get(`${this.path}:foot`, length, async () => {
      const { blocks, bloom } = (await this.#frame(offset, length)) as Foot
      return { blocks, bloom: bloom === null ? null : Bloom.fromText(bloom) }
    })
  }

  async #frame(offset: number, length: number): Promise<unknown> {
    const body = openFrame(await this.#pool.read(this.path, offset, length))
    if (!body) throw new StoreDamaged(`${this.path} is damaged at byte ${offset}`)
    return JSON.parse(body.toString('utf8'))
  }
}

/** The first place whose entry is not before the wanted one. */
export function firstNotBefore(entries: readonly Entry[], wanted: Pick<Entry, 'value' | 'key'>): number {
  let low = 0
  let high = entries.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (compareEntries(entries[middle] as Entry, wanted) < 0) low = middle + 1
    else high = middle
  }
  return low
}
