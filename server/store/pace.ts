/** Long works are cut into slices, so that requests get their turn in between. */
export class Pace {
  readonly #sliceMs: number
  #began = performance.now()

  /** @param sliceMs how long a slice may last; what is done between two looks at the clock comes on top */
  constructor(sliceMs = 5) {
    this.#sliceMs = sliceMs
  }

  /** Whether the slice is used up and `rest` should be awaited. */
  get isDue(): boolean {
    return performance.now() - this.#began >= this.#sliceMs
  }

  async rest(): Promise<void> {
    await new Promise<void>((resolve) => setImmediate(resolve))
    this.#began = performance.now()
  }
}
