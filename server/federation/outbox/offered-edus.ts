import type { Edu } from '../contract.ts'

/** So many wait for one destination at most. */
const MAX_WAITING = 200
/** What is not a receipt means nothing when it comes so late. */
const LASTS_MS = 60_000

/** An EDU as it was offered; one object may wait for many destinations. */
export interface OfferedEdu {
  readonly edu: Edu
  readonly key: string
  /** Which one it is, among all that this process was offered. */
  readonly id: string
  /** Milliseconds since the epoch. */
  readonly offeredTs: number
}

const isReceipt = ({ edu }: OfferedEdu): boolean => edu.edu_type === 'm.receipt'

/** The EDUs that wait for one destination in memory: the newest of each key, in the order in which they came. */
export class OfferedEdus {
  readonly #byKey = new Map<string, OfferedEdu>()

  get size(): number {
    return this.#byKey.size
  }

  add(offered: OfferedEdu): void {
    this.#byKey.delete(offered.key)
    this.#byKey.set(offered.key, offered)
    if (this.#byKey.size <= MAX_WAITING) return
    const surplus = [...this.#byKey.values()].find((other) => !isReceipt(other)) ?? this.#byKey.values().next().value
    if (surplus) this.#byKey.delete(surplus.key)
  }

  /** Takes out the oldest ones that still mean something. */
  take(limit: number, nowTs: number): readonly OfferedEdu[] {
    const taken: OfferedEdu[] = []
    for (const offered of this.#byKey.values()) {
      if (!isReceipt(offered) && offered.offeredTs + LASTS_MS < nowTs) this.#byKey.delete(offered.key)
    }
    for (const offered of this.#byKey.values()) {
      if (taken.length === limit) break
      taken.push(offered)
    }
    for (const { key } of taken) this.#byKey.delete(key)
    return taken
  }

  /** Puts back what could not be sent, before what came since; a newer one of the same key stays. */
  putBack(taken: readonly OfferedEdu[]): void {
    const since = [...this.#byKey.values()]
    this.#byKey.clear()
    for (const offered of [...taken, ...since]) this.add(offered)
  }

  /** What is of no use later: all but receipts. */
  dropPassing(): void {
    for (const offered of this.#byKey.values()) if (!isReceipt(offered)) this.#byKey.delete(offered.key)
  }
}
