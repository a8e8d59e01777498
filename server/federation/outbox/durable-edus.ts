import type { Environment } from '../../observe/environment.ts'
import { type Op, orderKey, put, remove, type Store } from '../../store/index.ts'
import type { Edu } from '../contract.ts'
import { type EduRow, edus } from './store.ts'

/** What waits for one destination at most; beyond that the oldest go, those that have a key first. */
export const DURABLE_LIMITS = { keyed: 5_000, unkeyed: 20_000, bytes: 32 * 1024 * 1024 }
const ROWS_PER_READ = 500

/** An EDU of a transaction that is to be confirmed. */
export interface WaitingEdu {
  readonly key: string
  readonly seq: number
  readonly json: string
}

interface Waiting {
  rows: number
  bytes: number
}

/** The EDUs that must reach their destination: rows, which go when the destination has confirmed them. */
export class DurableEdus {
  readonly #store: Store
  readonly #environment: Environment
  /** By destination: rather too many than too few. Exact after each counting. */
  readonly #waiting = new Map<string, Waiting>()
  /** Keys of rows that are being sent; whether a later one has taken the place of it since. */
  readonly #underWay = new Map<string, { isReplaced: boolean }>()
  #seq = 0

  constructor(store: Store, environment: Environment) {
    this.#store = store
    this.#environment = environment
  }

  /** @returns the destinations for which something waits */
  async load(): Promise<Iterable<string>> {
    for (let from: string | undefined; ; ) {
      const range = { index: 'order', limit: ROWS_PER_READ, ...(from !== undefined && { from }) }
      const rows = await this.#store.home.range(edus, range)
      for (const { destination, json, seq } of rows) {
        this.#count(destination, json)
        this.#seq = Math.max(this.#seq, seq)
      }
      const last = rows.at(-1)
      if (!last || rows.length < ROWS_PER_READ) return this.#waiting.keys()
      from = `${last.order}\u0000`
    }
  }

  has(destination: string): boolean {
    return this.#waiting.has(destination)
  }

  /** Something for the destination has been committed. */
  ready(destination: string): void {
    if (!this.#waiting.has(destination)) this.#waiting.set(destination, { rows: 1, bytes: 0 })
  }

  /** About how many wait. */
  count(destination: string): number {
    return this.#waiting.get(destination)?.rows ?? 0
  }

  get total(): number {
    let total = 0
    for (const { rows } of this.#waiting.values()) total += rows
    return total
  }

  write(destination: string, edu: Edu, key: string | undefined): Op {
    // By the clock, so that no number comes twice when all rows were sent before a restart.
    this.#seq = Math.max(this.#seq + 1, this.#environment.clock.now() * 1_000)
    const seq = this.#seq
    const json = JSON.stringify(edu)
    const rowKey = key === undefined ? orderKey(destination, seq) : `${destination}\u0000=${key}`
    const underWay = this.#underWay.get(rowKey)
    if (underWay) underWay.isReplaced = true
    this.#count(destination, json)
    return put(edus, {
      key: rowKey,
      order: orderKey(destination, seq),
      destination,
      seq,
      isKeyed: key !== undefined,
      json,
    })
  }

  /** The oldest ones that wait, one at least; they count as under way until they are `settled`. */
  async take(destination: string, limit: number, maxBytes: number): Promise<readonly WaitingEdu[]> {
    const waiting = this.#waiting.get(destination)
    if (!waiting) return []
    const rowsBefore = waiting.rows
    const rows = await this.#store.home.range(edus, { ...rangeOf(destination), limit })
    if (rows.length === 0 && waiting.rows === rowsBefore) this.#waiting.delete(destination)
    const taken: WaitingEdu[] = []
    let bytes = 0
    for (const { key, seq, json } of rows) {
      bytes += json.length
      if (taken.length > 0 && bytes > maxBytes) break
      this.#underWay.set(key, { isReplaced: false })
      taken.push({ key, seq, json })
    }
    return taken
  }

  /** @param isDelivered otherwise they go on waiting */
  async settled(destination: string, sent: readonly WaitingEdu[], isDelivered: boolean): Promise<void> {
    const ops: Op[] = []
    for (const { key } of sent) {
      if (isDelivered && this.#underWay.get(key)?.isReplaced === false) ops.push(remove(edus, key))
      this.#underWay.delete(key)
    }
    if (ops.length === 0) return
    await this.#store.commit(() => ops)
    const waiting = this.#waiting.get(destination)
    if (!waiting) return
    waiting.rows = Math.max(1, waiting.rows - ops.length)
    for (const { json } of sent) waiting.bytes = Math.max(0, waiting.bytes - json.length)
  }

  /** Keeps what waits for a destination within bounds; counts only where it may be too much. */
  async trim(destination: string): Promise<void> {
    const { keyed, unkeyed, bytes: maxBytes } = DURABLE_LIMITS
    const known = this.#waiting.get(destination)
    if (!known || (known.rows <= Math.min(keyed, unkeyed) && known.bytes <= maxBytes)) return
    await this.#store.exclusive(`outbox edus ${destination}`, async () => {
      const rows = (await this.#store.home.range(edus, rangeOf(destination))).filter(
        ({ key }) => !this.#underWay.has(key),
      )
      const dropped = surplus(rows)
      if (dropped.length > 0) {
        const ops = dropped.map(({ key }) => remove(edus, key))
        await this.#store.commit(() => ops)
        const kinds = new Set(dropped.map(({ json }) => (JSON.parse(json) as Edu).edu_type))
        const fields = { destination, count: dropped.length, eduTypes: [...kinds] }
        this.#environment.logger.warn({ event: 'federation.edus-dropped', ...fields })
      }
      const left = rows.length - dropped.length
      this.#waiting.set(destination, { rows: left, bytes: sizeOf(rows) - sizeOf(dropped) })
    })
  }

  #count(destination: string, json: string): void {
    const waiting = this.#waiting.get(destination) ?? { rows: 0, bytes: 0 }
    waiting.rows += 1
    waiting.bytes += json.length
    this.#waiting.set(destination, waiting)
  }
}

const rangeOf = (destination: string) => ({
  index: 'order',
  from: `${destination}\u0000`,
  to: `${destination}\u0001`,
})

const sizeOf = (rows: readonly EduRow[]): number => rows.reduce((sum, { json }) => sum + json.length, 0)

/** Those that are too many, the oldest first. @param rows oldest first */
function surplus(rows: readonly EduRow[]): readonly EduRow[] {
  const keyed = rows.filter(({ isKeyed }) => isKeyed)
  const unkeyed = rows.filter(({ isKeyed }) => !isKeyed)
  const dropped = [
    ...keyed.slice(0, Math.max(0, keyed.length - DURABLE_LIMITS.keyed)),
    ...unkeyed.slice(0, Math.max(0, unkeyed.length - DURABLE_LIMITS.unkeyed)),
  ]
  const isDropped = new Set(dropped)
  let bytes = sizeOf(rows) - sizeOf(dropped)
  for (const row of [...keyed, ...unkeyed]) {
    if (bytes <= DURABLE_LIMITS.bytes) break
    if (isDropped.has(row)) continue
    dropped.push(row)
    bytes -= row.json.length
  }
  return dropped
}
