import type { Environment } from '../../observe/environment.ts'
import { type Op, put, remove, type Store } from '../../store/index.ts'
import type { OwedPdus } from '../contract.ts'
import type { Destination } from './destination.ts'
import { type DestinationRow, destinations, marks } from './store.ts'

/** How often the positions are written while something is sent. What a crash loses of them is sent twice. */
const BETWEEN_WRITES_MS = 5_000
/** A destination that is behind for longer gets a row of its own, so that the mark of all others moves on. */
const LATE_MS = 30_000

/**
 * How far destinations have come, on the disk. One mark says it for all that keep up; only those that are behind have rows, so
 * that a message into a room with a thousand servers writes one row, seconds later, and an idle destination costs nothing.
 */
export class Checkpoints {
  readonly #store: Store
  readonly #environment: Environment
  readonly #active: ReadonlyMap<string, Destination>
  #owed: OwedPdus | undefined
  /** What is on the disk. */
  #rows = new Map<string, DestinationRow>()
  #mark = 0
  #newest = 0
  #cancel: (() => void) | undefined
  #writing: Promise<void> | undefined

  constructor(store: Store, environment: Environment, active: ReadonlyMap<string, Destination>) {
    this.#store = store
    this.#environment = environment
    this.#active = active
  }

  /** The newest position at which something was owed to anybody. */
  get newest(): number {
    return this.#newest
  }

  /**
   * Reads what is on the disk; at the first start ever nobody is owed anything.
   * @param owed told of what has been delivered
   */
  async load(owed: OwedPdus): Promise<{ readonly rows: readonly DestinationRow[]; readonly mark: number }> {
    this.#owed = owed
    for (const row of await this.#store.home.range(destinations, { index: 'server' })) this.#rows.set(row.server, row)
    const known = await this.#store.home.get(marks, 'mark')
    if (known) this.#mark = known.position
    else {
      const { position } = this.#store
      await this.#store.commit(() => [put(marks, { id: 'mark', position })])
      this.#mark = position
    }
    this.#newest = Math.max(this.#newest, this.#mark)
    return { rows: [...this.#rows.values()], mark: this.#mark }
  }

  /** Something was owed to somebody at this position; nothing from before it is still to come. */
  reached(position: number): void {
    this.#newest = Math.max(this.#newest, position)
  }

  /** Something has changed. */
  soon(): void {
    this.#cancel ??= this.#environment.clock.after(BETWEEN_WRITES_MS, () => {
      this.#cancel = undefined
      if (this.#writing) return this.soon()
      this.#writing = this.#write().finally(() => {
        this.#writing = undefined
      })
    })
  }

  async close(): Promise<void> {
    this.#cancel?.()
    await this.#writing
    await this.#write()
  }

  /** Never rejects: what could not be written is written the next time. */
  async #write(): Promise<void> {
    if (!this.#owed) return
    const { rows, mark } = this.#positions()
    const ops: Op[] = []
    for (const [server, row] of rows) if (!isSame(row, this.#rows.get(server))) ops.push(put(destinations, row))
    for (const server of this.#rows.keys()) if (!rows.has(server)) ops.push(remove(destinations, server))
    if (mark > this.#mark) ops.push(put(marks, { id: 'mark', position: mark }))
    if (ops.length === 0) return
    try {
      await this.#store.commit(() => ops)
      this.#rows = rows
      this.#mark = mark
      await this.#owed.delivered((server) => rows.get(server)?.deliveredUpTo ?? mark)
    } catch (error) {
      this.#environment.logger.warn({ event: 'federation.positions-not-saved', error })
      this.soon()
    }
  }

  #positions(): { readonly rows: Map<string, DestinationRow>; readonly mark: number } {
    const nowTs = this.#environment.clock.now()
    const rows = new Map<string, DestinationRow>()
    let mark = this.#newest
    for (const destination of this.#active.values()) {
      if (!destination.lacksEvents) continue
      const { name: server, cursor, failures, behindSinceTs, failingSinceTs } = destination
      const isLate = failures > 0 || cursor < this.#mark || nowTs - behindSinceTs > LATE_MS
      if (isLate) rows.set(server, { server, deliveredUpTo: cursor, behindSinceTs, failingSinceTs })
      else mark = Math.min(mark, cursor)
    }
    return { rows, mark: Math.max(mark, this.#mark) }
  }
}

function isSame(a: DestinationRow, b: DestinationRow | undefined): boolean {
  return b?.deliveredUpTo === a.deliveredUpTo && b.failingSinceTs === a.failingSinceTs
}
