import type { Readable } from 'node:stream'
import type { Environment } from '../observe/environment.ts'
import { put, remove, type Store } from '../store/index.ts'
import type { MediaFiles } from './media-files.ts'
import { type CachedRow, cachedRows } from './store.ts'

/** How exactly it is known when a file was last wanted: each time would be a write for each download. */
const TOUCHED_EVERY_MS = 3_600_000
/** Rows looked at together. */
const BATCH = 100

export interface Cacheable {
  /** `<server name>/<media ID>` */
  readonly media: string
  readonly contentType: string
  readonly fileName: string | null
  readonly bytes: Readable
  /** More are refused with `refusal`. */
  readonly maxBytes: number
  readonly refusal: () => Error
}

/**
 * Files that can be had again, bounded in bytes: what was not wanted for the longest time goes first. A file is named by a
 * row before anyone hears of it, and loses its row before it is removed; what a crash leaves between is removed at the start.
 */
export class MediaCache {
  readonly #environment: Environment
  readonly #store: Store
  readonly #files: MediaFiles
  readonly #maxBytes: number
  readonly #onRemoved: (file: string) => Promise<void>
  #bytes: number

  private constructor(deps: CacheDeps, bytes: number) {
    this.#environment = deps.environment
    this.#store = deps.store
    this.#files = deps.files
    this.#maxBytes = deps.maxBytes
    this.#onRemoved = deps.onRemoved
    this.#bytes = bytes
  }

  static async open(deps: CacheDeps): Promise<MediaCache> {
    let bytes = 0
    for (const { sizeBytes } of await deps.store.home.range(cachedRows, { index: 'media' })) bytes += sizeBytes
    return new MediaCache(deps, bytes)
  }

  /** To show it to somebody: it counts as used. */
  async find(media: string): Promise<CachedRow | undefined> {
    const row = await this.#store.home.get(cachedRows, media)
    const now = this.#environment.clock.now()
    if (!row || now - row.usedTs < TOUCHED_EVERY_MS) return row
    await this.#alone(async () => {
      const current = await this.#store.home.get(cachedRows, media)
      if (current) await this.#store.commit(() => [put(cachedRows, { ...current, usedTs: now })])
    })
    return this.#store.home.get(cachedRows, media)
  }

  async has(media: string): Promise<boolean> {
    return (await this.#store.home.get(cachedRows, media)) !== undefined
  }

  /** Whether a row names this file. */
  async knows(file: string): Promise<boolean> {
    return (await this.#store.home.count(cachedRows, { index: 'file', from: file, to: `${file}\u0000` })) > 0
  }

  /** Keeps what the stream brings, in the place of what was kept under this name, and makes room for it. */
  async add(wish: Cacheable): Promise<CachedRow> {
    const { media, contentType, fileName } = wish
    const file = this.#environment.random.bytes(18).toString('base64url')
    using _held = this.#files.hold(file)
    const sizeBytes = await this.#files.write(file, wish.bytes, Math.min(wish.maxBytes, this.#maxBytes), wish.refusal)
    const now = this.#environment.clock.now()
    const row: CachedRow = { media, file, contentType, fileName, sizeBytes, createdTs: now, usedTs: now }
    try {
      await this.#alone(async () => {
        const before = await this.#store.home.get(cachedRows, media)
        const others = await this.#inTheWay(sizeBytes - (before?.sizeBytes ?? 0), media)
        await this.#commit({ gone: before ? [before, ...others] : others, added: row })
      })
    } catch (cause) {
      if (!(await this.knows(file))) await this.#files.remove(file)
      throw cause
    }
    return row
  }

  async remove(media: string): Promise<boolean> {
    return this.#alone(async () => {
      const row = await this.#store.home.get(cachedRows, media)
      if (row) await this.#commit({ gone: [row] })
      return row !== undefined
    })
  }

  /**
   * Removes what is too old, and what is too much since the limit was lowered.
   * @param keptUnusedMs what nobody wanted for so long goes, whatever room there is
   */
  async tidy(keptUnusedMs: number): Promise<void> {
    const to = this.#environment.clock.now() - keptUnusedMs
    for (let isDone = false; !isDone; ) {
      await this.#alone(async () => {
        const old = await this.#store.home.range(cachedRows, { index: 'usedTs', to, limit: BATCH })
        const gone = old.length > 0 ? old : await this.#inTheWay(0, undefined)
        isDone = gone.length === 0
        if (!isDone) await this.#commit({ gone })
      })
    }
  }

  /** The least recently used that must go for so many bytes more. */
  async #inTheWay(moreBytes: number, except: string | undefined): Promise<CachedRow[]> {
    const gone: CachedRow[] = []
    let bytes = this.#bytes + moreBytes
    for (let limit = BATCH; bytes > this.#maxBytes; limit += BATCH) {
      const rows = await this.#store.home.range(cachedRows, { index: 'usedTs', limit })
      for (const row of rows.slice(limit - BATCH)) {
        if (bytes <= this.#maxBytes) break
        if (row.media === except) continue
        gone.push(row)
        bytes -= row.sizeBytes
      }
      if (rows.length < limit) break
    }
    return gone
  }

  async #commit({ gone, added }: { readonly gone: readonly CachedRow[]; readonly added?: CachedRow }): Promise<void> {
    await this.#store.commit(() => [
      ...gone.map((row) => remove(cachedRows, row.media)),
      ...(added ? [put(cachedRows, added)] : []),
    ])
    for (const row of gone) this.#bytes -= row.sizeBytes
    this.#bytes += added?.sizeBytes ?? 0
    for (const { file } of gone) {
      await this.#files.remove(file)
      await this.#onRemoved(file)
    }
  }

  #alone<T>(work: () => Promise<T>): Promise<T> {
    return this.#store.exclusive('media-cache', work)
  }
}

interface CacheDeps {
  readonly environment: Environment
  readonly store: Store
  readonly files: MediaFiles
  readonly maxBytes: number
  /** After the file is gone. */
  readonly onRemoved: (file: string) => Promise<void>
}
