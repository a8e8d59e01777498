import type { Logger } from '../observe/environment.ts'

/** Something that others can subscribe to. */
export interface Announcer<T> {
  /** @returns a function that ends the subscription */
  subscribe(listener: (change: T) => void): () => void
  announce(change: T): void
}

/**
 * Listeners are called in the order in which they came. One that throws is our bug: it is logged, and the others still hear,
 * because the change is already stored.
 */
export function createAnnouncer<T>(name: string, logger: Logger): Announcer<T> {
  const listeners = new Set<(change: T) => void>()
  return {
    subscribe(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    announce(change) {
      for (const listener of listeners) {
        try {
          listener(change)
        } catch (error) {
          logger.error({ event: 'accounts.listener_failed', name, error })
        }
      }
    },
  }
}
