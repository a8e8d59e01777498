/**
 * Homes on the internet, as far as it matters for passing events on: uplinks, distances, one processor each, and the price of
 * a TLS connection. Everything is drawn from one seed. Times are milliseconds, sizes bytes.
 */
import type { Random } from '../../../server/observe/environment.ts'

export interface Home {
  readonly index: number
  readonly name: string
  /** Bytes for each millisecond. */
  readonly up: number
  readonly down: number
  /** One way, to the middle of the internet. */
  readonly latencyMs: number
  readonly isOnline: boolean
  bytesUp: number
  bytesDown: number
  /** Until when each is in use. */
  upBusyMs: number
  downBusyMs: number
  cpuBusyMs: number
  /** Milliseconds of its processor that were used. */
  cpuMs: number
}

/** What things cost; see README.md for where the numbers come from. */
export const PRICES = {
  /** TCP and TLS 1.3, as the client and the server send it, certificates among it. */
  helloBytes: 900,
  certificateBytes: 3_600,
  clientHandshakeMs: 1.5,
  serverHandshakeMs: 2,
  /** Around each transaction: HTTP headers, X-Matrix signature, JSON envelope, TLS records, TCP and IP headers. */
  requestBytes: 900,
  answerBytes: 450,
  /** Build, sign and send one; check and store one. */
  sendMs: 1,
  receiveMs: 3,
  /** Attempts to reach who is not there. */
  lostBytes: 240,
  connectTimeoutMs: 5_000,
  /** A connection is used again within this time. */
  connectionKeptMs: 60_000,
  /** Transactions of one home under way at once, and after how long one does not count any more. */
  parallel: 64,
  promptMs: 2_000,
} as const

export interface WorldWish {
  readonly homes: number
  /** Share that cannot be reached. The first one always can. */
  readonly offline: number
  readonly random: Random
}

/** From one home to another. */
interface Line {
  readonly waiting: {
    readonly bytes: number
    readonly onArrived: () => void
    readonly onDone: (arrived: boolean) => void
  }[]
  isSending: boolean
  keptUntilMs: number
}

interface Task {
  readonly atMs: number
  readonly order: number
  readonly run: () => void
}

export class World {
  readonly homes: readonly Home[]
  #nowMs = 0
  #order = 0
  readonly #heap: Task[] = []
  readonly #lines = new Map<number, Line>()
  readonly #underWay = new Map<Home, number>()
  readonly #waiting = new Map<Home, (() => void)[]>()

  constructor({ homes, offline, random }: WorldWish) {
    const between = (low: number, high: number): number => low + (high - low) * random.number()
    // Exactly the wished share, wherever it falls.
    const gone = new Set<number>()
    while (gone.size < Math.round(homes * offline)) gone.add(1 + Math.floor(random.number() * (homes - 1)))
    this.homes = Array.from({ length: homes }, (_, index) => {
      const mbitUp = between(10, 50)
      return {
        index,
        name: `home${index}.example`,
        up: (mbitUp * 1_000_000) / 8 / 1_000,
        down: (mbitUp * 4 * 1_000_000) / 8 / 1_000,
        latencyMs: between(10, 80) / 2,
        isOnline: !gone.has(index),
        bytesUp: 0,
        bytesDown: 0,
        upBusyMs: 0,
        downBusyMs: 0,
        cpuBusyMs: 0,
        cpuMs: 0,
      }
    })
  }

  get nowMs(): number {
    return this.#nowMs
  }

  at(atMs: number, run: () => void): void {
    this.#order += 1
    push(this.#heap, { atMs, order: this.#order, run })
  }

  /** Runs until nothing happens any more. */
  run(): void {
    for (let task = pop(this.#heap); task; task = pop(this.#heap)) {
      this.#nowMs = task.atMs
      task.run()
    }
  }

  /**
   * Sends an event when it is its turn: one transaction at a time to each home, which takes along what has come meanwhile.
   * @param onDone called with whether it arrived, once the sender knows
   */
  send(from: Home, to: Home, bytes: number, onArrived: () => void, onDone: (arrived: boolean) => void): void {
    const key = from.index * this.homes.length + to.index
    const line = this.#lines.get(key) ?? { waiting: [], isSending: false, keptUntilMs: 0 }
    this.#lines.set(key, line)
    line.waiting.push({ bytes, onArrived, onDone })
    if (!line.isSending) this.#sendAll(from, to, line)
  }

  #sendAll(from: Home, to: Home, line: Line): void {
    line.isSending = true
    this.#whenItIsItsTurn(from, (free) => {
      const sent = line.waiting.splice(0)
      const bytes = sent.reduce((sum, each) => sum + each.bytes, 0)
      const arrived = (): void => {
        for (const each of sent) each.onArrived()
      }
      this.#transfer(from, to, { bytes, isConnected: line.keptUntilMs > this.#nowMs }, arrived, (isThere) => {
        free()
        line.isSending = false
        line.keptUntilMs = isThere ? this.#nowMs + PRICES.connectionKeptMs : 0
        for (const each of sent) each.onDone(isThere)
        if (line.waiting.length > 0) this.#sendAll(from, to, line)
      })
    })
  }

  #whenItIsItsTurn(from: Home, work: (free: () => void) => void): void {
    const start = (): void => {
      this.#underWay.set(from, (this.#underWay.get(from) ?? 0) + 1)
      let isCounted = true
      const free = (): void => {
        if (!isCounted) return
        isCounted = false
        this.#underWay.set(from, (this.#underWay.get(from) ?? 1) - 1)
        this.#waiting.get(from)?.shift()?.()
      }
      this.at(this.#nowMs + PRICES.promptMs, free)
      work(free)
    }
    if ((this.#underWay.get(from) ?? 0) < PRICES.parallel) start()
    else {
      const waiting = this.#waiting.get(from) ?? []
      this.#waiting.set(from, waiting)
      waiting.push(start)
    }
  }

  #transfer(
    from: Home,
    to: Home,
    what: { readonly bytes: number; readonly isConnected: boolean },
    onArrived: () => void,
    onDone: (arrived: boolean) => void,
  ): void {
    const wayMs = from.latencyMs + to.latencyMs
    const bytes = what.bytes + PRICES.requestBytes
    const after = (ms: number, next: () => void): void => this.at(this.#nowMs + ms, next)
    if (!to.isOnline) {
      this.#upload(from, PRICES.lostBytes, () => after(PRICES.connectTimeoutMs, () => onDone(false)))
      return
    }
    const answer = (): void => {
      onArrived()
      this.#upload(to, PRICES.answerBytes, () => after(wayMs, () => onDone(true)))
    }
    const takeIn = (): void => this.#download(to, bytes, () => this.#compute(to, PRICES.receiveMs, answer))
    const request = (): void =>
      this.#compute(from, PRICES.sendMs, () => this.#upload(from, bytes, () => after(wayMs, takeIn)))
    if (what.isConnected) request()
    // TCP there and back, then both hellos.
    else after(2 * wayMs, () => this.#shakeHands(from, to, wayMs, request))
  }

  #shakeHands(from: Home, to: Home, wayMs: number, next: () => void): void {
    const finish = (): void =>
      this.#download(from, PRICES.certificateBytes, () => this.#compute(from, PRICES.clientHandshakeMs, next))
    const answer = (): void =>
      this.#compute(to, PRICES.serverHandshakeMs, () =>
        this.#upload(to, PRICES.certificateBytes, () => this.at(this.#nowMs + wayMs, finish)),
      )
    this.#upload(from, PRICES.helloBytes, () => this.at(this.#nowMs + wayMs, answer))
  }

  #upload(home: Home, bytes: number, next: () => void): void {
    home.bytesUp += bytes
    home.upBusyMs = Math.max(home.upBusyMs, this.#nowMs) + bytes / home.up
    this.at(home.upBusyMs, next)
  }

  #download(home: Home, bytes: number, next: () => void): void {
    home.bytesDown += bytes
    home.downBusyMs = Math.max(home.downBusyMs, this.#nowMs) + bytes / home.down
    this.at(home.downBusyMs, next)
  }

  #compute(home: Home, ms: number, next: () => void): void {
    home.cpuMs += ms
    home.cpuBusyMs = Math.max(home.cpuBusyMs, this.#nowMs) + ms
    this.at(home.cpuBusyMs, next)
  }
}

const isBefore = (a: Task, b: Task): boolean => a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order)

function push(heap: Task[], task: Task): void {
  let at = heap.length
  heap.push(task)
  while (at > 0) {
    const above = (at - 1) >> 1
    const parent = heap[above] as Task
    if (!isBefore(task, parent)) break
    heap[at] = parent
    at = above
  }
  heap[at] = task
}

function pop(heap: Task[]): Task | undefined {
  const first = heap[0]
  const last = heap.pop()
  if (!first || !last || heap.length === 0) return first
  let at = 0
  for (;;) {
    const left = 2 * at + 1
    if (left >= heap.length) break
    const right = left + 1
    const least = right < heap.length && isBefore(heap[right] as Task, heap[left] as Task) ? right : left
    if (!isBefore(heap[least] as Task, last)) break
    heap[at] = heap[least] as Task
    at = least
  }
  heap[at] = last
  return first
}
