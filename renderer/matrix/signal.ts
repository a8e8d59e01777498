export type Unsubscribe = () => void

/** A list of listeners. A listener that throws does not keep the others from hearing. */
export interface Signal<T> {
  readonly on: (listener: (value: T) => void) => Unsubscribe
  readonly emit: (value: T) => void
}

export function createSignal<T>(): Signal<T> {
  const listeners = new Set<(value: T) => void>()
  return {
    on: (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    emit: (value) => {
      for (const listener of [...listeners]) {
        try {
          listener(value)
        } catch (error) {
          // reported as uncaught, so that it is seen, without stopping the rest
          queueMicrotask(() => {
            throw error
          })
        }
      }
    },
  }
}

/**
 * Runs `work` once after any number of calls in the same turn.
 * @returns `mark` asks for a run; `cancel` forgets one that is waiting and ends the matter
 */
export function coalesce(work: () => void): { mark: () => void; cancel: () => void } {
  let isWaiting = false
  let isOver = false
  return {
    mark: () => {
      if (isWaiting || isOver) return
      isWaiting = true
      queueMicrotask(() => {
        isWaiting = false
        if (!isOver) work()
      })
    },
    cancel: () => {
      isOver = true
    },
  }
}
