/**
 * What was redacted or purged is gone from the disk within a day: the store keeps old rows in its files until writing them anew is
 * worth it, and is told here when it has to.
 */
import type { Environment } from '../observe/environment.ts'
import { collection, type Op, put, remove, type Store } from '../store/index.ts'

const LOOK_EVERY_MS = 60 * 60_000
/** So long originals may lie about, and an hour more. A room whose messages expire all day is written anew once. */
const WITHIN_MS = 24 * 60 * 60_000

type ErasureRow = {
  readonly roomId: string
  /** Since when there is something to erase. */
  readonly sinceTs: number
}
/** Rooms whose files may hold what was redacted or purged. */
const erasures = collection<ErasureRow>({ name: 'erasures', place: 'home', key: 'roomId', indexes: [] })

interface Mark {
  readonly sinceTs: number
  /** Stream position of the newest of its changes; 0 for one of before the start. */
  readonly position: number
}

export class Erasures {
  readonly #store: Store
  readonly #environment: Environment
  readonly #marks: Map<string, Mark>
  #stopTimer: (() => void) | undefined
  #running: Promise<void> | undefined
  #isClosed = false

  private constructor(store: Store, environment: Environment, marks: Map<string, Mark>) {
    this.#store = store
    this.#environment = environment
    this.#marks = marks
  }

  static async open(store: Store, environment: Environment): Promise<Erasures> {
    const rows = await store.home.range(erasures, { index: 'roomId' })
    return new Erasures(
      store,
      environment,
      new Map(rows.map(({ roomId, sinceTs }) => [roomId, { sinceTs, position: 0 }])),
    )
  }

  /** Notes that a commit takes content of this room away; to be part of it. */
  note(roomId: string, position: number): Op {
    const sinceTs = this.#marks.get(roomId)?.sinceTs ?? this.#environment.clock.now()
    this.#marks.set(roomId, { sinceTs, position })
    return put(erasures, { roomId, sinceTs })
  }

  /** Looks now, and then each hour, for what has to go. */
  start(): void {
    this.#stopTimer?.()
    if (this.#isClosed) return
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined
      if (!this.#isClosed) this.#stopTimer = this.#environment.clock.after(LOOK_EVERY_MS, () => this.start())
    })
  }

  async settled(): Promise<void> {
    await this.#running
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#stopTimer?.()
    await this.#running
  }

  async #run(): Promise<void> {
    const { clock, logger } = this.#environment
    const now = clock.now()
    const due = [...this.#marks].filter(([, { sinceTs }]) => sinceTs <= now - WITHIN_MS).map(([roomId]) => roomId)
    if (due.length === 0) return
    try {
      const upTo = this.#store.position
      const done = await this.#store.scrub(due)
      await this.#store.commit(() => [...done].map((roomId) => this.#erased(roomId, upTo, now)))
    } catch (error) {
      // The notes stay: it is tried again in an hour.
      logger.warn({ event: 'rooms.erasure.failed', rooms: due.length, error: String(error) })
    }
  }

  /** Called within the commit, so that no note comes in between. */
  #erased(roomId: string, upTo: number, now: number): Op {
    const mark = this.#marks.get(roomId)
    if (mark && mark.position > upTo) {
      this.#marks.set(roomId, { ...mark, sinceTs: now })
      return put(erasures, { roomId, sinceTs: now })
    }
    this.#marks.delete(roomId)
    return remove(erasures, roomId)
  }
}
