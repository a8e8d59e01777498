/**
 * Which texts are certainly not in a file: ten bits for each that is, seven of them looked at, so that about one text in a
 * hundred is looked for in vain.
 */
export class Bloom {
  readonly #bits: Buffer

  private constructor(bits: Buffer) {
    this.#bits = bits
  }

  static forCount(count: number): Bloom {
    return new Bloom(Buffer.alloc(Math.max(8, Math.ceil((count * 10) / 8))))
  }

  static fromText(text: string): Bloom {
    return new Bloom(Buffer.from(text, 'base64'))
  }

  toText(): string {
    return this.#bits.toString('base64')
  }

  add(text: string): void {
    for (const bit of this.#bitsOf(text)) {
      this.#bits[bit >>> 3] = (this.#bits[bit >>> 3] as number) | (1 << (bit & 7))
    }
  }

  mayHave(text: string): boolean {
    for (const bit of this.#bitsOf(text)) {
      if (((this.#bits[bit >>> 3] as number) & (1 << (bit & 7))) === 0) return false
    }
    return true
  }

  /** Two hashes (FNV-1a with two starts) make all seven. */
  #bitsOf(text: string): readonly number[] {
    let a = 0x811c9dc5
    let b = 0x9747b28c
    for (let i = 0; i < text.length; i++) {
      const unit = text.charCodeAt(i)
      a = Math.imul(a ^ unit, 0x01000193)
      b = Math.imul(b ^ unit, 0x5bd1e995)
    }
    b = (b ^ (b >>> 15)) | 1
    const size = this.#bits.length * 8
    return [0, 1, 2, 3, 4, 5, 6].map((i) => ((a + Math.imul(i, b)) >>> 0) % size)
  }
}

/** What of an index value goes into the filter: the part before the first NUL, which composed values share. */
export function stemOf(value: string): string {
  const end = value.indexOf('\u0000')
  return end < 0 ? value : value.slice(0, end)
}

/** The one stem that all values of the range have; `undefined` when they may have several. */
export function stemOfRange(from: unknown, to: unknown): string | undefined {
  if (typeof from !== 'string' || typeof to !== 'string') return undefined
  const stem = stemOf(from)
  return to === `${stem}\u0001` || to.startsWith(`${stem}\u0000`) ? stem : undefined
}
