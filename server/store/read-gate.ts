interface Generation {
  readers: number
  onEmpty: (() => void) | undefined
}

/** Knows when files that were taken out of use are read by nobody any more. */
export class ReadGate {
  #now: Generation = { readers: 0, onEmpty: undefined }

  async reading<T>(work: () => Promise<T>): Promise<T> {
    const generation = this.#now
    generation.readers++
    try {
      return await work()
    } finally {
      generation.readers--
      if (generation.readers === 0) generation.onEmpty?.()
    }
  }

  get isRead(): boolean {
    return this.#now.readers > 0
  }

  /** Resolves when all who read at this moment have ended. Not to be called again before that. */
  async turn(): Promise<void> {
    const generation = this.#now
    if (generation.readers === 0) return
    this.#now = { readers: 0, onEmpty: undefined }
    await new Promise<void>((resolve) => {
      generation.onEmpty = resolve
    })
  }
}
