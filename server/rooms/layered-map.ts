/**
 * An immutable map from strings whose copies share all but their newest changes: a room of 100,000 members is not copied for
 * each join. Reading costs two lookups at most.
 */
const OVERLAY_LIMIT = 48
/** One for all: a state has a map for each type, and most of them never change. */
const NO_CHANGES: ReadonlyMap<string, never> = new Map<string, never>()

export class LayeredMap<V> {
  readonly size: number
  readonly #base: ReadonlyMap<string, V>
  /** `undefined` as a value: removed. */
  readonly #over: ReadonlyMap<string, V | undefined>
  #flat: ReadonlyMap<string, V> | undefined

  private constructor(base: ReadonlyMap<string, V>, over: ReadonlyMap<string, V | undefined>, size: number) {
    this.#base = base
    this.#over = over
    this.size = size
  }

  static from<V>(entries: ReadonlyMap<string, V>): LayeredMap<V> {
    return new LayeredMap<V>(entries, NO_CHANGES, entries.size)
  }

  get(key: string): V | undefined {
    return this.#over.has(key) ? this.#over.get(key) : this.#base.get(key)
  }

  has(key: string): boolean {
    return this.get(key) !== undefined
  }

  /** A copy with the key set, or taken away where the value is `undefined`. */
  with(key: string, value: V | undefined): LayeredMap<V> {
    const before = this.get(key)
    if (before === value) return this
    const size = this.size + (value === undefined ? -1 : before === undefined ? 1 : 0)
    if (this.#over.size < OVERLAY_LIMIT || this.#over.has(key)) {
      return new LayeredMap(this.#base, new Map(this.#over).set(key, value), size)
    }
    const merged = new Map(this.toMap())
    if (value === undefined) merged.delete(key)
    else merged.set(key, value)
    return new LayeredMap<V>(merged, NO_CHANGES, size)
  }

  /** As one map; made once and kept. Must not be changed. */
  toMap(): ReadonlyMap<string, V> {
    if (this.#over.size === 0) return this.#base
    if (!this.#flat) {
      const flat = new Map(this.#base)
      for (const [key, value] of this.#over) {
        if (value === undefined) flat.delete(key)
        else flat.set(key, value)
      }
      this.#flat = flat
    }
    return this.#flat
  }
}
