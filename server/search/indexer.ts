/**
 * Keeps the index up with the rooms, in the background: announcements only mark a room, and a moment later it is read from where
 * the last reading ended. How far that is stands in the file and is written together with what was read, so a kill neither loses
 * nor doubles anything.
 */
import { setImmediate } from 'node:timers/promises'
import type { Environment } from '../observe/environment.ts'
import type { RoomEvent, Rooms, RoomView } from '../rooms/index.ts'
import { IndexFile, type Progress } from './index-file.ts'
import { editedBy, isSearched, searchableIn } from './searchable.ts'
import { termsOf } from './terms.ts'

/** News wait so long, so that what is said in one go is written in one go. */
const DELAY_MS = 1_000
/** After a start others go first. */
const START_DELAY_MS = 10_000
/** What has expired in the rooms is hidden at once, and leaves the file this often. */
const EXPIRY_MS = 60 * 60_000
/** A search waits so long for what was said last. */
const MAX_WAIT_MS = 2_000
/** Written in one go at most: events, and characters. It keeps the thread a few milliseconds. */
const SLICE = 32
const SLICE_TEXT = 4_096
/** SQLite's codes for a file that is broken, or is none. */
const BROKEN: ReadonlySet<unknown> = new Set([11, 26])

export interface IndexerParts {
  readonly environment: Environment
  readonly rooms: Pick<Rooms, 'open' | 'onEvent' | 'lastChange' | 'changedSince' | 'expired'>
  readonly path: string
}

/** What an event changes in the file. */
type Change = (file: IndexFile) => void

export class Indexer implements AsyncDisposable {
  readonly #parts: IndexerParts
  readonly #unsubscribe: () => void
  /** Rooms with news. */
  readonly #changed = new Set<string>()
  readonly #gone = new Set<string>()
  readonly #progress = new Map<string, Progress>()
  #opening: Promise<IndexFile> | undefined
  #pass: Promise<void> | undefined
  #cancelTimer: (() => void) | undefined
  #cancelExpiry: (() => void) | undefined
  #isClosed = false

  constructor(parts: IndexerParts) {
    this.#parts = parts
    this.#unsubscribe = parts.rooms.onEvent(({ roomId }) => {
      this.#changed.add(roomId)
      this.#wakeIn(DELAY_MS)
    })
  }

  /** Catches up with what came while the server was down, soon. */
  begin(): void {
    if (this.#parts.rooms.changedSince(0).length > 0) this.#wakeIn(START_DELAY_MS)
  }

  /** The file, with all in it that was announced so far, unless that takes long. */
  async caughtUp(): Promise<IndexFile> {
    const file = await this.#file()
    if (!this.#pass && this.#changed.size === 0) return file
    const { promise: late, resolve } = Promise.withResolvers<void>()
    const cancel = this.#parts.environment.clock.after(MAX_WAIT_MS, resolve)
    await Promise.race([this.#read(), late])
    cancel()
    return this.#file()
  }

  /** Takes out, soon, events that turned out not to be there any more. */
  drop(eventIds: readonly string[]): void {
    for (const eventId of eventIds) this.#gone.add(eventId)
    if (eventIds.length > 0) this.#wakeIn(DELAY_MS)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true
    this.#unsubscribe()
    this.#cancelTimer?.()
    this.#cancelExpiry?.()
    await this.#pass
    const file = await this.#opening?.catch(() => undefined)
    await file?.[Symbol.asyncDispose]()
  }

  #wakeIn(delayMs: number): void {
    if (this.#isClosed || this.#cancelTimer) return
    this.#cancelTimer = this.#parts.environment.clock.after(delayMs, () => {
      this.#cancelTimer = undefined
      void this.#read()
    })
  }

  #file(): Promise<IndexFile> {
    this.#opening ??= this.#open()
    return this.#opening
  }

  async #open(): Promise<IndexFile> {
    try {
      const { path, rooms } = this.#parts
      const file = await IndexFile.open(path)
      this.#progress.clear()
      for (const progress of file.allProgress()) this.#progress.set(progress.roomId, progress)
      const known = rooms.changedSince(0)
      for (const roomId of known) {
        if (this.#progress.get(roomId)?.position !== rooms.lastChange(roomId)) this.#changed.add(roomId)
      }
      // Rooms that are there no more.
      for (const roomId of this.#progress.keys()) if (rooms.lastChange(roomId) === 0) this.#changed.add(roomId)
      return file
    } catch (error) {
      this.#opening = undefined
      throw error
    }
  }

  /** Reads the rooms with news, each once; one pass at a time. Never rejects. */
  async #read(): Promise<void> {
    await this.#pass
    // Somebody else has begun the next one.
    if (this.#pass) return this.#pass
    this.#pass = this.#readAll().finally(() => {
      this.#pass = undefined
    })
    return this.#pass
  }

  async #readAll(): Promise<void> {
    const { environment, rooms } = this.#parts
    try {
      const file = await this.#file()
      for (const roomId of [...this.#changed]) {
        if (this.#isClosed) return
        this.#changed.delete(roomId)
        try {
          if (rooms.lastChange(roomId) === 0) await this.#forget(file, roomId)
          else await this.#readRoom(file, roomId)
        } catch (error) {
          if (isSqlite(error)) throw error
          // The other rooms go on; this one is tried again with its next event, and at the next start.
          environment.logger.warn({ event: 'search.room.failed', roomId, error: String(error) })
        }
      }
      if (!this.#cancelExpiry) await this.#expire(file)
      await this.#removeGone(file)
      await file.forgetErased()
    } catch (error) {
      await this.#failed(error)
    }
  }

  /** A broken file is made anew, by and by; with a full disk and the like it is tried again later. */
  async #failed(error: unknown): Promise<void> {
    const { environment, path } = this.#parts
    environment.logger.warn({ event: 'search.index.failed', error: String(error) })
    const file = await this.#opening?.catch(() => undefined)
    this.#opening = undefined
    // It may be the file that cannot be closed.
    await file?.[Symbol.asyncDispose]().catch(() => undefined)
    const code = isSqlite(error) ? error.errcode & 0xff : undefined
    if (BROKEN.has(code)) await IndexFile.remove(path)
    this.#wakeIn(EXPIRY_MS)
  }

  async #readRoom(file: IndexFile, roomId: string): Promise<void> {
    using view = await this.#parts.rooms.open(roomId)
    let progress = await this.#progressIn(file, view)
    for (let isAtEnd = false; !isAtEnd && !this.#isClosed; ) {
      const events = await view.timeline({ from: progress.next, limit: SLICE, direction: 'forward' })
      const { changes, taken } = await changesBy(file, view, events)
      const last = events[taken - 1]
      isAtEnd = events.length < SLICE && taken === events.length
      progress = {
        ...progress,
        position: isAtEnd ? view.position : progress.position,
        next: isAtEnd ? view.latestOrder + 1 : (last?.order ?? 0) + 1,
        tail: last?.eventId ?? progress.tail,
      }
      await this.#write(file, progress, changes)
    }
    // What was fetched from before.
    while (progress.first > view.earliestOrder && !this.#isClosed) {
      const events = await view.timeline({ to: progress.first, limit: SLICE, direction: 'backward' })
      const { changes, taken } = await changesBy(file, view, events)
      progress = { ...progress, first: events[taken - 1]?.order ?? view.earliestOrder }
      await this.#write(file, progress, changes)
    }
  }

  async #write(file: IndexFile, progress: Progress, changes: readonly Change[]): Promise<void> {
    file.write(() => {
      for (const change of changes) change(file)
      file.putProgress(progress)
    })
    this.#progress.set(progress.roomId, progress)
    await setImmediate()
    await file.tidy()
  }

  /** How far the room was read. A room that went back, as in a backup that was restored, is read anew. */
  async #progressIn(file: IndexFile, view: RoomView): Promise<Progress> {
    const { roomId, position, earliestOrder } = view
    const known = this.#progress.get(roomId)
    if (known && known.position <= position) {
      const tail = known.tail === '' ? undefined : await view.find(known.tail)
      if (known.tail === '' || (tail?.order != null && tail.order < known.next)) return known
    }
    if (known) await this.#forget(file, roomId)
    return { roomId, position: 0, first: earliestOrder, next: earliestOrder, tail: '' }
  }

  async #forget(file: IndexFile, roomId: string): Promise<void> {
    this.#progress.delete(roomId)
    await this.#untilDone(file, () => file.removeRoom(roomId, SLICE))
  }

  async #expire(file: IndexFile): Promise<void> {
    this.#cancelExpiry = this.#parts.environment.clock.after(EXPIRY_MS, () => {
      this.#cancelExpiry = undefined
      void this.#read()
    })
    for (const [roomId, bounds] of await this.#parts.rooms.expired()) {
      await this.#untilDone(file, () => file.removeBefore({ roomId, ...bounds }, SLICE))
    }
  }

  async #removeGone(file: IndexFile): Promise<void> {
    await this.#untilDone(file, () => {
      for (const eventId of [...this.#gone].slice(0, SLICE)) {
        file.remove(eventId)
        this.#gone.delete(eventId)
      }
      return this.#gone.size === 0
    })
  }

  async #untilDone(file: IndexFile, removeSome: () => boolean): Promise<void> {
    for (let isDone = false; !isDone && !this.#isClosed; await setImmediate()) {
      file.write(() => {
        isDone = removeSome()
      })
    }
  }
}

const isSqlite = (error: unknown): error is Error & { readonly errcode: number } =>
  error instanceof Error && 'errcode' in error && typeof error.errcode === 'number'

/** @returns `taken`: of so many events, from the first one on */
async function changesBy(
  file: IndexFile,
  view: RoomView,
  events: readonly RoomEvent[],
): Promise<{ readonly changes: readonly Change[]; readonly taken: number }> {
  const changes: Change[] = []
  const edited = new Set<string>()
  let length = 0
  let taken = 0
  const refresh = async (event: RoomEvent, mayBeEdited: boolean): Promise<void> => {
    const { eventId, roomId, pdu, order } = event
    const found = await searchableIn(view, event, mayBeEdited)
    if (!found || order === null) {
      changes.push((to) => to.remove(eventId))
      return
    }
    const terms = termsOf(found.text)
    length += terms.length
    const ts = Number(pdu.origin_server_ts)
    changes.push((to) => to.put({ eventId, roomId, sender: pdu.sender, ts, order, key: found.key, terms }))
  }
  const refreshById = async (eventId: string | undefined): Promise<void> => {
    const event = eventId === undefined ? undefined : await view.find(eventId)
    if (event) await refresh(event, true)
  }
  for (const event of events) {
    if (length >= SLICE_TEXT) break
    taken += 1
    const { eventId, roomId, pdu } = event
    const original = editedBy(event)
    if (original !== undefined) {
      edited.add(original)
      changes.push((to) => to.putEdit({ eventId, roomId, original }))
      await refreshById(original)
    } else if (pdu.type === 'm.room.redaction') {
      const target = view.rules.redactionV11 ? pdu.content.redacts : pdu.redacts
      if (typeof target !== 'string') continue
      await refreshById(target)
      await refreshById(file.originalOf(target))
    } else if (isSearched(pdu.type)) await refresh(event, edited.has(eventId) || file.hasEdits(eventId))
  }
  return { changes, taken }
}
