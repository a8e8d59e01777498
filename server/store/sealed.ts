/**
 * The part of a segmented collection that lies in files: its segments, one for each stretch of keys, and for each index the
 * runs, sorted files of (value, key), which are merged as they grow in number so that a look-up asks few of them.
 *
 * A view never changes; sealing more makes another view. So a reader that began with one ends with it.
 */
import path from 'node:path'
import type { BlockCache } from './block-cache.ts'
import type { Range, Row } from './contract.ts'
import type { FilePool } from './file-pool.ts'
import { isWithin } from './rows.ts'
import { SortedFile, type SortedInfo } from './sorted-file.ts'

export interface SegmentInfo extends SortedInfo {
  /** Which of the stretch's keys are in it, a bit each; `null` for all. */
  readonly keys: string | null
  readonly stretch: number
}

export interface RunInfo extends SortedInfo {
  /** How often its entries were merged. */
  readonly level: number
}

/** What a snapshot keeps of a view. */
export interface SealedInfo {
  /** The field that is the key. */
  readonly key: string
  /** Keys of one stretch: from `n * stretchKeys` on. */
  readonly stretchKeys: number
  readonly segments: readonly SegmentInfo[]
  readonly runs: { readonly [field: string]: readonly RunInfo[] }
  /** Whether runs may have entries of rows that have changed or gone. */
  readonly isStale: boolean
}

export interface Segment {
  readonly info: SegmentInfo
  readonly file: SortedFile
  readonly keys: Buffer | undefined
}

export interface Run {
  readonly info: RunInfo
  readonly file: SortedFile
}

export interface SealedFiles {
  readonly folder: string
  readonly pool: FilePool
  readonly cache: BlockCache
}

export class SealedView {
  readonly info: SealedInfo
  readonly count: number
  /** By stretch. */
  readonly segments: ReadonlyMap<number, Segment>
  readonly #ordered: readonly Segment[]
  readonly #runs: ReadonlyMap<string, readonly Run[]>

  constructor(info: SealedInfo, files: SealedFiles) {
    this.info = info
    const open = (sorted: SortedInfo, keyField?: string): SortedFile =>
      new SortedFile({
        info: sorted,
        path: path.join(files.folder, sorted.file),
        pool: files.pool,
        cache: files.cache,
        ...(keyField === undefined ? {} : { keyField }),
      })
    this.#ordered = [...info.segments]
      .sort((a, b) => a.stretch - b.stretch)
      .map((segment) => ({
        info: segment,
        file: open(segment, info.key),
        keys: segment.keys === null ? undefined : Buffer.from(segment.keys, 'base64'),
      }))
    this.segments = new Map(this.#ordered.map((segment) => [segment.info.stretch, segment]))
    this.#runs = new Map(
      Object.entries(info.runs).map(([field, runs]) => [field, runs.map((run) => ({ info: run, file: open(run) }))]),
    )
    this.count = info.segments.reduce((sum, segment) => sum + segment.count, 0)
  }

  /** Whether a segment has a row of this key, hidden or not. */
  has(key: number): boolean {
    const stretch = Math.floor(key / this.info.stretchKeys)
    const segment = this.segments.get(stretch)
    if (!segment) return false
    if (!segment.keys) return true
    const bit = key - stretch * this.info.stretchKeys
    return ((segment.keys[bit >>> 3] as number) & (1 << (bit & 7))) !== 0
  }

  async row(key: number): Promise<Row | undefined> {
    if (!this.has(key)) return undefined
    return await this.segments.get(Math.floor(key / this.info.stretchKeys))?.file.find(key)
  }

  /** Segments that have keys within the range, in its direction. */
  segmentsWithin({ from, to, direction }: Omit<Range, 'index'>): readonly SortedFile[] {
    const files = this.#ordered
      .filter(({ info }) => isWithin(info.max[0], { from }) && isWithin(info.min[0], { to }))
      .map((segment) => segment.file)
    return direction === 'backward' ? files.reverse() : files
  }

  /** How many keys within the range are in segments, hidden or not. */
  countKeysWithin(range: Pick<Range, 'from' | 'to'>): number {
    let count = 0
    for (const { info } of this.#ordered) {
      if (!isWithin(info.max[0], { from: range.from }) || !isWithin(info.min[0], { to: range.to })) continue
      if (isWithin(info.min[0], range) && isWithin(info.max[0], range)) {
        count += info.count
        continue
      }
      for (let key = info.min[1]; key <= info.max[1]; key++) if (isWithin(key, range) && this.has(key)) count++
    }
    return count
  }

  /** `undefined` for an index that came after these segments. */
  runs(field: string): readonly Run[] | undefined {
    return this.#runs.get(field)
  }
}

/** The names of all its files. */
export function sealedNames({ segments, runs }: SealedInfo): readonly string[] {
  return [...segments, ...Object.values(runs).flat()].map((sorted) => sorted.file)
}

/** A bit for each key of the stretch that is there; `null` for all of them. */
export function keyBits(keys: readonly number[], stretch: number, stretchKeys: number): string | null {
  if (keys.length === stretchKeys) return null
  const bits = Buffer.alloc(Math.ceil(stretchKeys / 8))
  for (const key of keys) {
    const bit = key - stretch * stretchKeys
    bits[bit >>> 3] = (bits[bit >>> 3] as number) | (1 << (bit & 7))
  }
  return bits.toString('base64')
}
