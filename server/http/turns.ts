import { limitExceeded } from '../../shared/matrix/errors.ts'

interface Waiting {
  readonly bytes: number
  readonly begin: () => void
}

interface Line {
  running: number
  readonly waiting: Waiting[]
}

export interface TurnLimits {
  /** At the same time, of one key. */
  readonly running: number
  /** In line behind those, of one key. */
  readonly waiting: number
  /** What all that wait in line may hold in memory together. */
  readonly waitingBytes: number
}

const RETRY_AFTER_MS = 2_000

/** Lets a few works of the same key run at a time and a few more wait, in bounded memory. */
export class Turns {
  readonly #limits: TurnLimits
  readonly #lines = new Map<string, Line>()
  #waitingBytes = 0

  constructor(limits: TurnLimits) {
    this.#limits = limits
  }

  /**
   * Waits for a turn, which ends when what is returned is disposed of.
   * @param held what the caller holds in memory meanwhile, in bytes
   * @param signal gives up the place in line; the turn is then never had
   * @throws MatrixError 429 M_LIMIT_EXCEEDED where too many wait already; the signal's reason
   */
  async take(key: string, held: number, signal: AbortSignal): Promise<Disposable> {
    const line = this.#lines.get(key) ?? { running: 0, waiting: [] }
    this.#lines.set(key, line)
    if (line.running >= this.#limits.running) await this.#wait(line, held, signal)
    else line.running += 1
    let isOver = false
    return {
      [Symbol.dispose]: () => {
        if (!isOver) this.#end(key, line)
        isOver = true
      },
    }
  }

  #wait(line: Line, bytes: number, signal: AbortSignal): Promise<void> {
    const isFull = line.waiting.length >= this.#limits.waiting || this.#waitingBytes + bytes > this.#limits.waitingBytes
    if (isFull) throw limitExceeded(RETRY_AFTER_MS)
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        line.waiting.splice(line.waiting.indexOf(waiting), 1)
        this.#waitingBytes -= bytes
        reject(signal.reason as Error)
      }
      const waiting: Waiting = {
        bytes,
        begin: () => {
          signal.removeEventListener('abort', leave)
          this.#waitingBytes -= bytes
          resolve()
        },
      }
      if (signal.aborted) {
        reject(signal.reason as Error)
        return
      }
      line.waiting.push(waiting)
      this.#waitingBytes += bytes
      signal.addEventListener('abort', leave, { once: true })
    })
  }

  /** Passes the turn on to who is next in line. */
  #end(key: string, line: Line): void {
    const next = line.waiting.shift()
    if (next) next.begin()
    else {
      line.running -= 1
      if (line.running === 0) this.#lines.delete(key)
    }
  }
}
