/**
 * Counts what is not kept on disk: typing and presence. It starts at 0 with each start of the server, so a number of it
 * means something only together with the `run` that it comes from.
 */
export interface Serial {
  /** Names this run of the server: 8 characters of base36, not guessable from another run. */
  readonly run: string
  /** The number of the newest change, 0 at first. */
  readonly current: number
  next(): number
}

/** @param bytes 5 random ones, the name of the run */
export function createSerial(bytes: Buffer): Serial {
  let current = 0
  const run = Array.from(bytes.subarray(0, 5), (byte) => byte.toString(36).padStart(2, '0'))
    .join('')
    .slice(0, 8)
  return {
    run,
    get current() {
      return current
    },
    next() {
      current += 1
      return current
    },
  }
}
