import type { Environment } from '../observe/environment.ts'
import { put, remove, type Store } from '../store/index.ts'
import { namedIn, type References } from './references.ts'
import { type MediaRetentionRow, mediaRows, type ReferenceRow, referenceRows, retentionRows } from './store.ts'

const DAY_MS = 24 * 3_600_000
const DEFAULT_CACHED_MS = 30 * DAY_MS
/** A file stays so long when its last event has gone: it may be sent anew right away. */
const GRACE_MS = 3_600_000

/** How long files stay, in milliseconds. */
export type MediaRetentionSettings = {
  /**
   * Uploads that no event names which the server can read, from the upload on; `null`: for ever. What is sent in encrypted rooms is
   * among them, since nobody but the rooms' members can tell it from what was never sent.
   */
  readonly unnamedMs: number | null
  /** Copies of other servers' media, from when somebody last wanted them. */
  readonly cachedMs: number
}

/** When files go by themselves. Administrators set it; who may ask is the edge's to decide. */
export interface MediaRetention {
  readonly settings: MediaRetentionSettings
  set(settings: MediaRetentionSettings): Promise<void>
}

interface Parts {
  readonly environment: Environment
  readonly store: Store
  readonly references: References
  /** Texts that name files in use outside of events: profiles, account data. */
  readonly otherTexts: () => AsyncIterable<string>
  readonly removeUpload: (mediaId: string) => Promise<boolean>
  readonly removeCached: (media: string) => Promise<boolean>
}

export class KeptMedia implements MediaRetention {
  readonly #parts: Parts
  #row: MediaRetentionRow

  private constructor(parts: Parts, row: MediaRetentionRow) {
    this.#parts = parts
    this.#row = row
  }

  static async open(parts: Parts): Promise<KeptMedia> {
    const { store, environment } = parts
    const known = await store.home.get(retentionRows, 'media-retention')
    if (known) return new KeptMedia(parts, known)
    const countedSinceTs = environment.clock.now()
    const row = { id: 'media-retention', unnamedMs: null, cachedMs: DEFAULT_CACHED_MS, countedSinceTs } as const
    await store.commit(() => [put(retentionRows, row)])
    return new KeptMedia(parts, row)
  }

  get settings(): MediaRetentionSettings {
    const { unnamedMs, cachedMs } = this.#row
    return { unnamedMs, cachedMs }
  }

  async set({ unnamedMs, cachedMs }: MediaRetentionSettings): Promise<void> {
    const row = { ...this.#row, unnamedMs, cachedMs }
    await this.#parts.store.commit(() => [put(retentionRows, row)])
    this.#row = row
  }

  /** Removes what went with its messages, and what nothing names for too long. */
  async tidy(): Promise<void> {
    const { store, environment } = this.#parts
    const now = environment.clock.now()
    const orphans = await store.home.range(referenceRows, { index: 'orphanedTs', to: now - GRACE_MS + 1 })
    const { unnamedMs } = this.#row
    if (orphans.length === 0 && unnamedMs === null) return
    const inUse = await this.#namedElsewhere()
    for (const orphan of orphans) await this.#removeOrphan(orphan, inUse)
    if (unnamedMs !== null) await this.#removeUnnamed(now - unnamedMs, inUse)
  }

  /** An upload goes only where its owner sent the last event that named it: nobody else can make it disappear. */
  async #removeOrphan({ media, orphanedBy }: ReferenceRow, inUse: ReadonlySet<string>): Promise<void> {
    const { store, references, removeUpload, removeCached } = this.#parts
    const mediaId = this.#ourId(media)
    if (mediaId === undefined) await removeCached(media)
    else {
      // As long as a profile shows it, it is looked at again each hour.
      if (inUse.has(media)) return
      const row = await store.home.get(mediaRows, mediaId)
      if (references.has(mediaId)) return
      if (row && row.owner === orphanedBy) await removeUpload(mediaId)
    }
    await store.commit(() => (mediaId !== undefined && references.has(mediaId) ? [] : [remove(referenceRows, media)]))
  }

  async #removeUnnamed(beforeTs: number, inUse: ReadonlySet<string>): Promise<void> {
    const { store, references, removeUpload, environment } = this.#parts
    const from = this.#row.countedSinceTs
    if (from >= beforeTs) return
    for (const { mediaId, sizeBytes } of await store.home.range(mediaRows, {
      index: 'createdTs',
      from,
      to: beforeTs,
    })) {
      const isNamed = references.has(mediaId) || inUse.has(`${environment.serverName}/${mediaId}`)
      if (sizeBytes !== null && !isNamed) await removeUpload(mediaId)
    }
  }

  async #namedElsewhere(): Promise<ReadonlySet<string>> {
    const names = new Set<string>()
    for await (const text of this.#parts.otherTexts()) for (const name of namedIn(text)) names.add(name)
    return names
  }

  /** @returns `undefined` for media of another server */
  #ourId(media: string): string | undefined {
    const prefix = `${this.#parts.environment.serverName}/`
    return media.startsWith(prefix) ? media.slice(prefix.length) : undefined
  }
}
