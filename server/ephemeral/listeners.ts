/** Who wants to hear of something; told in the order in which they came. Listeners never throw and never block. */
export class Listeners<T> {
  readonly #listeners = new Set<(value: T) => void>()

  /** @returns a function that ends the subscription */
  add(listener: (value: T) => void): () => void {
    this.#listeners.add(listener)
    return () => {
      this.#listeners.delete(listener)
    }
  }

  tell(value: T): void {
    for (const listener of this.#listeners) listener(value)
  }
}
