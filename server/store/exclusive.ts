/** Works of the same key run one after the other, in the order of their calls; those of different keys side by side. */
export class Exclusive {
  readonly #last = new Map<string, Promise<unknown>>()

  /** @throws whatever the work throws; the next one runs all the same */
  async run<T>(key: string, work: () => Promise<T>): Promise<T> {
    const mine = (this.#last.get(key) ?? Promise.resolve()).then(work, work)
    this.#last.set(key, mine)
    try {
      return await mine
    } finally {
      if (this.#last.get(key) === mine) this.#last.delete(key)
    }
  }
}
