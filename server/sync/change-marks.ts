/**
 * When something last changed for each user or device, so that a sync asks the slice that keeps it only where there is
 * something new. It knows nothing of the time before it was made.
 */
export class ChangeMarks {
  readonly #positions = new Map<string, number>()
  #knownFrom: number

  constructor(position: number) {
    this.#knownFrom = position
  }

  note(key: string, position: number): void {
    const known = this.#positions.get(key)
    if (known !== undefined && known >= position) return
    this.#positions.delete(key)
    this.#positions.set(key, position)
    if (this.#positions.size <= CAPACITY) return
    for (const [oldest, itsPosition] of this.#positions) {
      this.#positions.delete(oldest)
      this.#knownFrom = Math.max(this.#knownFrom, itsPosition)
      break
    }
  }

  /** False only where it is sure that nothing changed after `since`. */
  mayHaveChanged(key: string, since: number): boolean {
    return since < this.#knownFrom || (this.#positions.get(key) ?? 0) > since
  }
}

const CAPACITY = 20_000
