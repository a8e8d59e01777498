import type { Logger } from '../observe/environment.ts'
import { StorageFull } from './contract.ts'
import { isFull, isOutOfHandles } from './disk.ts'
import { StoreDamaged } from './errors.ts'
import type { Partition, Shared } from './partition.ts'
import { emptyFolder, isSealingDue, save, saveSnapshot, scrub } from './save.ts'

/**
 * What is done beside the requests, one thing at a time: sealing, emptying the folders of rooms that have ended, and keeping
 * the journal short. A full disk puts it off; any other error of the disk makes the store read-only.
 */
export class Upkeep {
  readonly #shared: Shared
  readonly #partitions: ReadonlyMap<string, Partition>
  readonly #journalBytes: number
  readonly #logger: Logger
  readonly #onSaved: (partition: Partition) => void
  readonly #rotate: () => Promise<void>
  readonly #due = new Set<Partition>()
  /** After the disk was full: no new try before the journal has this size. */
  #notBeforeBytes = 0
  #running: Promise<void> | undefined
  #isStopped = false

  constructor(options: {
    readonly shared: Shared
    readonly partitions: ReadonlyMap<string, Partition>
    /** The journal is made shorter when it is larger than this. */
    readonly journalBytes: number
    /** Goes on in a new file of the journal. */
    rotate(): Promise<void>
    /** Told of a partition whose changes are all in its own files. */
    onSaved(partition: Partition): void
    readonly logger: Logger
  }) {
    this.#shared = options.shared
    this.#partitions = options.partitions
    this.#journalBytes = options.journalBytes
    this.#logger = options.logger
    this.#onSaved = options.onSaved
    this.#rotate = options.rotate
  }

  /** Looks after these partitions, which have just changed, and after the journal. Returns at once. */
  attend(changed: Iterable<Partition>): void {
    for (const partition of changed) {
      if (partition.isToBeEmptied || isSealingDue(partition, this.#shared)) this.#due.add(partition)
    }
    if (this.#isIdle || this.#isStopped || this.#running) return
    this.#running = this.#run().finally(() => {
      this.#running = undefined
    })
  }

  /**
   * Brings all changes into the partitions' own files and gives up the journal before them.
   * @param isEnough asked after each partition whether to leave the rest in the journal
   * @throws StorageFull, StorageFailed, or StoreDamaged
   */
  async saveAll(isEnough: () => boolean = () => false): Promise<void> {
    try {
      await this.#saveAll(isEnough)
    } catch (error) {
      throw this.#tell(error)
    }
  }

  async #saveAll(isEnough: () => boolean): Promise<void> {
    this.#requireWritable()
    while (this.#due.size > 0 && !isEnough()) await this.#attendNext()
    for (const partition of [...this.#partitions.values()]) {
      if (isEnough()) break
      this.#requireWritable()
      if (partition.tail.length > 0) await this.#save(partition)
    }
    const { journal } = this.#shared
    if (this.#oldestNeeded() > journal.current && !journal.isEmpty) await this.#rotate()
    await journal.removeBefore(Math.min(this.#oldestNeeded(), journal.current))
  }

  /**
   * What was replaced or removed before the call is afterwards neither in the files of these partitions nor in the journal.
   * @returns those that were written anew: not damaged ones
   * @throws as `saveAll`
   */
  async scrub(partitions: readonly Partition[]): Promise<ReadonlySet<Partition>> {
    const done = new Set<Partition>()
    try {
      this.#requireWritable()
      // What comes from now on is in another file than what is to go.
      if (!this.#shared.journal.isEmpty) await this.#rotate()
      for (const partition of partitions) {
        this.#requireWritable()
        if (await this.#scrubIfWhole(partition)) done.add(partition)
      }
      await this.#shorten()
      return this.#isStopped ? new Set() : done
    } catch (error) {
      throw this.#tell(error)
    }
  }

  async #scrubIfWhole(partition: Partition): Promise<boolean> {
    try {
      await partition.locked(() => scrub(partition, this.#shared))
      return true
    } catch (error) {
      if (!(error instanceof StoreDamaged)) throw error
      this.#logger.warn({ event: 'store.scrub_impossible', why: error.message })
      return false
    } finally {
      if (partition.tail.length === 0) this.#onSaved(partition)
    }
  }

  /** Starts nothing new; resolves when what was begun has ended. */
  async stop(): Promise<void> {
    this.#isStopped = true
    await this.#running
  }

  get #isIdle(): boolean {
    if (this.#shared.journal.failure) return true
    const { sizeBytes } = this.#shared.journal
    if (sizeBytes < this.#notBeforeBytes) return true
    return this.#due.size === 0 && !this.#isJournalLong
  }

  get #isJournalLong(): boolean {
    const { journal } = this.#shared
    return journal.sizeBytes > this.#journalBytes && this.#oldestNeeded() < journal.current
  }

  async #run(): Promise<void> {
    while (!this.#isStopped && !this.#isIdle) {
      try {
        await this.#next()
        this.#notBeforeBytes = 0
      } catch (error) {
        this.#tell(error)
      }
    }
  }

  async #next(): Promise<void> {
    if (this.#due.size > 0) await this.#attendNext()
    else await this.#shorten()
  }

  #requireWritable(): void {
    const { failure } = this.#shared.journal
    if (failure) throw failure
  }

  async #attendNext(): Promise<void> {
    const shared = this.#shared
    for (const partition of this.#due) {
      await partition.locked(async () => {
        if (partition.isToBeEmptied) await emptyFolder(partition, shared)
        if (partition.isOpen && isSealingDue(partition, shared)) await saveSnapshot(partition, shared)
      })
      this.#due.delete(partition)
      // More may have come meanwhile.
      if (partition.isToBeEmptied || isSealingDue(partition, shared)) this.#due.add(partition)
      if (partition.tail.length === 0) this.#onSaved(partition)
      return
    }
  }

  /** Saves whatever still needs the older files of the journal. */
  async #shorten(): Promise<void> {
    const { journal } = this.#shared
    const { current } = journal
    for (const partition of [...this.#partitions.values()]) {
      if (this.#isStopped) return
      const first = partition.tail[0]
      if (first && first.journal < current) await this.#save(partition)
    }
    await journal.removeBefore(Math.min(this.#oldestNeeded(), journal.current))
  }

  async #save(partition: Partition): Promise<void> {
    await partition.locked(() => save(partition, this.#shared))
    if (partition.tail.length === 0) this.#onSaved(partition)
  }

  /** The oldest file of the journal that some partition needs; infinity when none needs any. */
  #oldestNeeded(): number {
    let oldest = Number.POSITIVE_INFINITY
    for (const { tail } of this.#partitions.values()) oldest = Math.min(oldest, tail[0]?.journal ?? oldest)
    return oldest
  }

  /**
   * Logs what went wrong; an error of the disk ends all writing.
   *
   * @returns the error as the contract has it
   */
  #tell(error: unknown): unknown {
    const { journal } = this.#shared
    const isPassing = error instanceof StorageFull || isFull(error) || isOutOfHandles(error)
    // Nothing is lost: what was to be saved is still in the journal.
    if (isPassing || error instanceof StoreDamaged) {
      this.#notBeforeBytes = journal.sizeBytes + this.#journalBytes / 16
      this.#logger.warn({ event: 'store.upkeep_postponed', why: String(error) })
      return isFull(error) ? new StorageFull('the disk is full', { cause: error }) : error
    }
    const failed = journal.fail(error)
    this.#logger.error({ event: 'store.failed', why: String(failed), cause: String(error) })
    return failed
  }
}
