/** Lets so many works run at once, and so many of one kind; the others wait for their turn in the order in which they came. */
export class Slots {
  readonly #total: number
  readonly #perKey: number
  readonly #running = new Map<string, number>()
  #count = 0
  readonly #queue: { readonly key: string; readonly start: () => void }[] = []

  constructor(total: number, perKey: number) {
    this.#total = total
    this.#perKey = perKey
  }

  async use<T>(key: string, work: () => Promise<T>): Promise<T> {
    if (this.#isFree(key)) this.#take(key)
    else {
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#queue.push({ key, start: resolve })
      await promise
    }
    try {
      return await work()
    } finally {
      this.#give(key)
    }
  }

  #isFree(key: string): boolean {
    return this.#count < this.#total && (this.#running.get(key) ?? 0) < this.#perKey
  }

  #take(key: string): void {
    this.#count += 1
    this.#running.set(key, (this.#running.get(key) ?? 0) + 1)
  }

  #give(key: string): void {
    this.#count -= 1
    const left = (this.#running.get(key) ?? 1) - 1
    if (left === 0) this.#running.delete(key)
    else this.#running.set(key, left)
    const next = this.#queue.findIndex((waiting) => this.#isFree(waiting.key))
    const [waiting] = next < 0 ? [] : this.#queue.splice(next, 1)
    if (!waiting) return
    this.#take(waiting.key)
    waiting.start()
  }
}
