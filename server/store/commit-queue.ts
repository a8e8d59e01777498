import { type Op, StorageFailed } from './contract.ts'
import type { Journal } from './journal.ts'
import { type CommitRecord, encodeCommit } from './record.ts'
import { checkedOp } from './rows.ts'

interface Waiting {
  readonly record: CommitRecord
  resolve(position: number): void
  reject(error: unknown): void
}

/** What is applied in one turn is bounded, so that nobody waits long for it. */
const batchBytes = 4 * 1024 * 1024
const batchCommits = 256

/**
 * Gives commits their positions, and writes all that wait in one go: one write, one sync, then all are applied in order, then
 * all are told. So a position is visible only after it is durable, and only together with all before it.
 */
export class CommitQueue {
  readonly #journal: Journal
  readonly #apply: (record: CommitRecord, journal: number, offset: number) => void
  readonly #onBatch: () => void
  #waiting: Waiting[] = []
  #between: (() => Promise<void>)[] = []
  #visible: number
  #assigned: number
  #running: Promise<void> | undefined
  #isBuilding = false

  constructor(options: {
    readonly journal: Journal
    readonly position: number
    /** Makes a durable commit visible; at once and without fail. */
    apply(record: CommitRecord, journal: number, offset: number): void
    /** After each batch. */
    onBatch(): void
  }) {
    this.#journal = options.journal
    this.#visible = options.position
    this.#assigned = options.position
    this.#apply = options.apply
    this.#onBatch = options.onBatch
  }

  get position(): number {
    return this.#visible
  }

  async commit(build: (position: number) => readonly Op[]): Promise<number> {
    if (this.#isBuilding) throw new Error('a commit cannot be built within another')
    if (this.#journal.failure) throw this.#journal.failure
    const position = this.#assigned + 1
    let record: CommitRecord
    this.#isBuilding = true
    try {
      record = encodeCommit(position, build(position).map(checkedOp))
    } finally {
      this.#isBuilding = false
    }
    this.#assigned = position
    return await new Promise<number>((resolve, reject) => {
      this.#waiting.push({ record, resolve, reject })
      this.#running ??= this.#run()
    })
  }

  /** Does the work while nothing is being written. */
  async between<T>(work: () => Promise<T>): Promise<T> {
    return await new Promise<T>((resolve, reject) => {
      this.#between.push(() => work().then(resolve, reject))
      this.#running ??= this.#run()
    })
  }

  /** Resolves when nothing waits any more. */
  async idle(): Promise<void> {
    while (this.#running) await this.#running
  }

  async #run(): Promise<void> {
    // Commits of the same turn go together.
    await Promise.resolve()
    while (this.#waiting.length > 0 || this.#between.length > 0) {
      for (const work of this.#between.splice(0)) await work()
      if (this.#waiting.length === 0) continue
      const batch = this.#nextBatch()
      try {
        const place = await this.#journal.append(
          batch.map((waiting) => waiting.record.frame),
          this.#visible,
        )
        this.#show(batch, place)
      } catch (error) {
        this.#refuse(batch, error)
      }
      this.#onBatch()
    }
    this.#running = undefined
  }

  #nextBatch(): readonly Waiting[] {
    let bytes = 0
    let count = 0
    for (const { record } of this.#waiting) {
      if (count > 0 && (count >= batchCommits || bytes + record.frame.length > batchBytes)) break
      bytes += record.frame.length
      count++
    }
    return this.#waiting.splice(0, count)
  }

  #show(batch: readonly Waiting[], place: { journal: number; offset: number }): void {
    let offset = place.offset
    try {
      for (const { record } of batch) {
        this.#apply(record, place.journal, offset)
        this.#visible = record.position
        offset += record.frame.length
      }
    } catch (error) {
      // It is durable and cannot be shown: a fault of ours, after which memory must not be trusted.
      throw this.#journal.fail(new StorageFailed('a durable commit could not be applied', { cause: error }))
    }
    for (const { record, resolve } of batch) resolve(record.position)
  }

  /** Whoever waits behind has a position that follows a refused one, and is refused with it. */
  #refuse(batch: readonly Waiting[], error: unknown): void {
    const refused = [...batch, ...this.#waiting]
    this.#waiting = []
    this.#assigned = this.#visible
    for (const { reject } of refused) reject(error)
  }
}
