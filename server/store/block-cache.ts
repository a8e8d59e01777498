/** Parts of sealed files as they were decoded, least recently used ones dropped. */
export class BlockCache {
  readonly #limitBytes: number
  readonly #blocks = new Map<string, { readonly content: unknown; readonly bytes: number }>()
  #bytes = 0

  /** @param limitBytes counted in bytes of the files */
  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes
  }

  /**
   * @param name of this content alone: content of one name never changes
   * @param load reads it when it is not here
   */
  async get<T>(name: string, bytes: number, load: () => Promise<T>): Promise<T> {
    const kept = this.#blocks.get(name)
    if (kept) {
      this.#blocks.delete(name)
      this.#blocks.set(name, kept)
      return kept.content as T
    }
    const content = await load()
    if (!this.#blocks.has(name)) {
      this.#blocks.set(name, { content, bytes })
      this.#bytes += bytes
      for (const [oldest, block] of this.#blocks) {
        if (this.#bytes <= this.#limitBytes) break
        this.#blocks.delete(oldest)
        this.#bytes -= block.bytes
      }
    }
    return content
  }
}
