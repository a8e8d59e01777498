import type { Pusher } from './pusher.ts'
import type { Notice } from './recipient.ts'
import type { ProgressRow } from './store.ts'

/** How one pusher's notices go out. */
export interface Delivery extends AsyncDisposable {
  readonly pusher: Pusher
  /** The pusher was set anew: other names, other data. */
  update(pusher: Pusher): void
  /** In the order in which they came; those from before the pusher are passed over. */
  add(notices: readonly Notice[]): void
  /** What the user has not read may be less than it was. */
  countsChanged(): void
  /** Whether `progress` says something else than when it was last asked. */
  readonly hasProgress: boolean
  /** @param examined the stream position up to which all notices have been given */
  progress(examined: number): ProgressRow
}

/** What came up to this stream position is done with, if all up to `examined` has been given. */
export function donePosition(waiting: readonly Notice[], examined: number): number {
  return waiting.reduce((least, { position }) => Math.min(least, position - 1), examined)
}

/** At most so many at once; others wait for their turn. */
export class Slots {
  #free: number
  readonly #waiting: (() => void)[] = []

  constructor(count: number) {
    this.#free = count
  }

  async use<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free -= 1
    else await new Promise<void>((resolve) => this.#waiting.push(resolve))
    try {
      return await work()
    } finally {
      const next = this.#waiting.shift()
      if (next) next()
      else this.#free += 1
    }
  }
}
