/**
 * Which uploads are named by events that the server can read, so that pictures go with the messages that they were sent in.
 * What encrypted rooms name cannot be known: see `MediaRetention` for those.
 */
import type { Clock } from '../observe/environment.ts'
import { type Op, put, remove, type Store } from '../store/index.ts'
import { type ReferenceRow, referenceRows } from './store.ts'

/** An event as far as it matters here. */
export interface NamingEvent {
  readonly sender: string
  /** JSON of the event, or of what is left of it. */
  readonly json: string
}

/** What a commit changes. */
export interface ReferenceChange {
  /** To be part of the commit. Called once, at its building. */
  ops(): readonly Op[]
  /** The commit failed: what was counted does not count. */
  undo(): void
}

/** For `rooms/`, which tells of each event that it keeps, and of each whose content it takes away. */
export interface MediaReferences {
  /**
   * @param kept an event that is new
   * @param gone what events were before they were redacted or purged
   */
  change(kept: readonly NamingEvent[], gone: readonly NamingEvent[]): ReferenceChange
}

const NO_CHANGE: ReferenceChange = { ops: () => [], undo: () => {} }
/** Files that one event names; more are not looked at, and so never removed for its sake. */
const MAX_NAMED = 200
const MXC = /mxc:\/\/([^/"\\\s]{1,255})\/([A-Za-z0-9_-]{1,255})/g

/** `<server name>/<media ID>` of each file that a text names. */
export function namedIn(text: string): ReadonlySet<string> {
  const names = new Set<string>()
  if (!text.includes('mxc://')) return names
  for (const [, serverName, mediaId] of text.matchAll(MXC)) {
    names.add(`${serverName}/${mediaId}`)
    if (names.size === MAX_NAMED) break
  }
  return names
}

/** Counts in memory, which is written with each change, because commits are built without a wait. */
export class References implements MediaReferences {
  readonly #clock: Clock
  readonly #prefix: string
  /** By media ID of our uploads; without those that nothing names. */
  readonly #counts: Map<string, number>

  private constructor(clock: Clock, serverName: string, counts: Map<string, number>) {
    this.#clock = clock
    this.#prefix = `${serverName}/`
    this.#counts = counts
  }

  static async open(store: Store, { clock, serverName }: { readonly clock: Clock; readonly serverName: string }) {
    const rows = await store.home.range(referenceRows, { index: 'media' })
    const prefix = `${serverName}/`
    const counted = rows.filter(({ media, events }) => events > 0 && media.startsWith(prefix))
    return new References(
      clock,
      serverName,
      new Map(counted.map(({ media, events }) => [media.slice(prefix.length), events])),
    )
  }

  /** Whether an event that the server can read names this upload. */
  has(mediaId: string): boolean {
    return this.#counts.has(mediaId)
  }

  change(kept: readonly NamingEvent[], gone: readonly NamingEvent[]): ReferenceChange {
    const added = kept.flatMap(({ json }) => [...namedIn(json)]).filter((media) => media.startsWith(this.#prefix))
    const removed = gone.flatMap(({ json, sender }) => [...namedIn(json)].map((media) => ({ media, sender })))
    if (added.length === 0 && removed.length === 0) return NO_CHANGE
    const steps: { readonly mediaId: string; readonly by: number }[] = []
    return {
      ops: () => {
        const ops = new Map<string, Op>()
        for (const media of added) ops.set(media, put(referenceRows, this.#counted(media, 1, steps)))
        for (const { media, sender } of removed) ops.set(media, this.#forgotten(media, sender, steps))
        return [...ops.values()]
      },
      undo: () => {
        for (const { mediaId, by } of steps) this.#add(mediaId, -by)
      },
    }
  }

  #counted(media: string, by: 1 | -1, steps: { mediaId: string; by: number }[]): ReferenceRow {
    const mediaId = media.slice(this.#prefix.length)
    steps.push({ mediaId, by })
    return { media, events: this.#add(mediaId, by), orphanedTs: null, orphanedBy: null }
  }

  #forgotten(media: string, sender: string, steps: { mediaId: string; by: number }[]): Op {
    const orphan = { media, events: 0, orphanedTs: this.#clock.now(), orphanedBy: sender }
    // Media of others is only our copy, which can be had again where another event names it.
    if (!media.startsWith(this.#prefix)) return put(referenceRows, orphan)
    // It was named before anybody counted: nobody knows by what else.
    if (!this.has(media.slice(this.#prefix.length))) return remove(referenceRows, media)
    const row = this.#counted(media, -1, steps)
    return put(referenceRows, row.events > 0 ? row : orphan)
  }

  #add(mediaId: string, by: number): number {
    const count = Math.max(0, (this.#counts.get(mediaId) ?? 0) + by)
    if (count > 0) this.#counts.set(mediaId, count)
    else this.#counts.delete(mediaId)
    return count
  }
}
