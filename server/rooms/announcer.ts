import type { Logger } from '../observe/environment.ts'
import type { Store } from '../store/index.ts'
import type { EventAnnouncement } from './contract.ts'

interface Issued {
  readonly position: number
  readonly settled: Promise<void>
  announcements: readonly EventAnnouncement[] | undefined
}

export interface Forgotten {
  readonly userId: string
  readonly roomId: string
  readonly position: number
}

/**
 * Tells of events after their commit, in the order of positions, and knows which commits are under way, so that nobody who
 * reads the store's position sees memory that lags behind it.
 */
export class Announcer {
  readonly #store: Store
  readonly #logger: Logger
  readonly #issued: Issued[] = []
  readonly #listeners = new Set<(announcement: EventAnnouncement) => void>()
  readonly #forgetListeners = new Set<(change: Forgotten) => void>()

  constructor(store: Store, logger: Logger) {
    this.#store = store
    this.#logger = logger
  }

  /**
   * To be called within the commit, where its position is known.
   * @returns to be called once: when the commit is durable and memory is up to date, with what to announce, or with nothing
   * when it failed
   */
  issue(position: number): (announcements: readonly EventAnnouncement[]) => void {
    const { promise, resolve } = Promise.withResolvers<void>()
    const issued: Issued = { position, settled: promise, announcements: undefined }
    this.#issued.push(issued)
    return (announcements) => {
      issued.announcements = announcements
      resolve()
      this.#announceSettled()
    }
  }

  /** Resolves when memory has caught up with all that the store shows. */
  async caughtUp(): Promise<void> {
    const { position } = this.#store
    for (const issued of [...this.#issued]) {
      if (issued.position <= position) await issued.settled
    }
  }

  /** Whether waiting for `caughtUp` is needed at all. */
  get isCaughtUp(): boolean {
    const first = this.#issued[0]
    return first === undefined || first.position > this.#store.position
  }

  onEvent(listener: (announcement: EventAnnouncement) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  onForgotten(listener: (change: Forgotten) => void): () => void {
    this.#forgetListeners.add(listener)
    return () => this.#forgetListeners.delete(listener)
  }

  announceForgotten(change: Forgotten): void {
    for (const listener of this.#forgetListeners) listener(change)
  }

  /** A listener that fails is at fault itself; the others, and the room, go on. */
  #tell(listener: (announcement: EventAnnouncement) => void, announcement: EventAnnouncement): void {
    try {
      listener(announcement)
    } catch (error) {
      this.#logger.error({ event: 'rooms.listener.failed', eventId: announcement.event.eventId, error })
    }
  }

  #announceSettled(): void {
    for (let first = this.#issued[0]; first?.announcements; first = this.#issued[0]) {
      this.#issued.shift()
      for (const announcement of first.announcements) {
        for (const listener of this.#listeners) this.#tell(listener, announcement)
      }
    }
  }
}
