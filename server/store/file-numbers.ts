/**
 * Numbers for the names of sealed files, none given twice while the store is open: a room that is closed and opened again must
 * not give a new file the name of one that others still have in mind (open, or decoded in the cache).
 */
export class FileNumbers {
  #next = 0

  /** What the next one will be, at least. */
  get next(): number {
    return this.#next
  }

  take(): number {
    return this.#next++
  }

  /** Numbers below this one are taken. */
  atLeast(next: number): void {
    this.#next = Math.max(this.#next, next)
  }
}
