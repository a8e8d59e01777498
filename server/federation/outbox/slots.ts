import type { Clock } from '../../observe/environment.ts'

/** A place among those that are sent at the same time. */
export interface Slot {
  release(): void
}

/**
 * How much is sent at the same time. There are places for what is answered promptly, and others for what hangs: whoever has not
 * been answered after a while moves over to those, and servers known to fail begin there, so that however many servers hang,
 * the others are not kept waiting for them.
 */
export class Slots {
  readonly #clock: Clock
  readonly #sizes: { readonly prompt: number; readonly slow: number; readonly promptMs: number }
  readonly #waitingPrompt: (() => void)[] = []
  readonly #waitingSlow: (() => void)[] = []
  #prompt = 0
  #slow = 0

  /** @param sizes `promptMs`: who takes longer is slow */
  constructor(clock: Clock, sizes: { readonly prompt: number; readonly slow: number; readonly promptMs: number }) {
    this.#clock = clock
    this.#sizes = sizes
  }

  get inUse(): number {
    return this.#prompt + this.#slow
  }

  async take(kind: 'prompt' | 'slow'): Promise<Slot> {
    const { promise, resolve } = Promise.withResolvers<void>()
    if (kind === 'prompt') this.#waitingPrompt.push(resolve)
    else this.#waitingSlow.push(resolve)
    this.#admit()
    await promise
    return this.#slot(kind)
  }

  #slot(kind: 'prompt' | 'slow'): Slot {
    let place: 'prompt' | 'slow' | 'none' = kind
    const moveOver = (): void => {
      if (place !== 'prompt') return
      if (this.#slow >= this.#sizes.slow) {
        cancel = this.#clock.after(this.#sizes.promptMs, moveOver)
        return
      }
      place = 'slow'
      this.#prompt -= 1
      this.#slow += 1
      this.#admit()
    }
    let cancel = kind === 'prompt' ? this.#clock.after(this.#sizes.promptMs, moveOver) : undefined
    return {
      release: () => {
        cancel?.()
        if (place === 'prompt') this.#prompt -= 1
        else if (place === 'slow') this.#slow -= 1
        place = 'none'
        this.#admit()
      },
    }
  }

  #admit(): void {
    while (this.#prompt < this.#sizes.prompt) {
      const next = this.#waitingPrompt.shift()
      if (!next) break
      this.#prompt += 1
      next()
    }
    while (this.#slow < this.#sizes.slow) {
      const next = this.#waitingSlow.shift()
      if (!next) break
      this.#slow += 1
      next()
    }
  }
}
