/**
 * Which rooms changed lately, so that a sync looks at these and not at all rooms of its user. For what is longer ago the
 * rooms themselves are asked when they last changed.
 */

const CAPACITY = 8_192

export class RoomChanges {
  readonly #roomIds: string[] = []
  readonly #positions: number[] = []
  #next = 0
  /** All changes after this position are known. */
  #knownFrom: number

  /** @param position the stream position at the start; nothing is known of what was before */
  constructor(position: number) {
    this.#knownFrom = position
  }

  /** Positions come in an order that is nearly theirs: receipts and events are committed by different slices. */
  add(position: number, roomId: string): void {
    const slot = this.#next % CAPACITY
    if (this.#next >= CAPACITY) this.#knownFrom = Math.max(this.#knownFrom, this.#positions[slot] as number)
    this.#roomIds[slot] = roomId
    this.#positions[slot] = position
    this.#next += 1
  }

  /**
   * Rooms that changed after `since`, or a few more.
   * @param max where finding them takes more steps than this, it is not worth it
   * @returns `undefined` where not all are known, or there are too many
   */
  since(since: number, max: number): ReadonlySet<string> | undefined {
    if (since < this.#knownFrom) return undefined
    const found = new Set<string>()
    const oldest = Math.max(0, this.#next - CAPACITY)
    // A change may be noted a little after others with higher positions, so one older entry does not end the search.
    let older = 0
    for (let i = this.#next - 1; i >= oldest && older < SLACK; i -= 1) {
      if (this.#next - i > max + SLACK) return undefined
      const slot = i % CAPACITY
      if ((this.#positions[slot] as number) > since) {
        found.add(this.#roomIds[slot] as string)
        older = 0
      } else older += 1
    }
    return found
  }
}

/** So many entries in a row must be older before the search ends; more commits are never under way at once. */
const SLACK = 256
