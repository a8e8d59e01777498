import { createHash } from 'node:crypto'
import path from 'node:path'
import type { Logger } from '../observe/environment.ts'
import { BlockCache } from './block-cache.ts'
import { CommitQueue } from './commit-queue.ts'
import type { Collection, Op, Range, Reader, RoomLease, Row, Store } from './contract.ts'
import { Declarations } from './declarations.ts'
import type { Disk } from './disk.ts'
import { Exclusive } from './exclusive.ts'
import { FileNumbers } from './file-numbers.ts'
import { FilePool } from './file-pool.ts'
import type { Journal } from './journal.ts'
import type { Place } from './journal-scan.ts'
import type { StoreLimits } from './limits.ts'
import { Pace } from './pace.ts'
import { Partition, type Shared } from './partition.ts'
import type { CommitRecord } from './record.ts'
import { checkPlace, type Key } from './rows.ts'
import { indexSealed } from './save.ts'
import { Upkeep } from './upkeep.ts'

/** The store on a disk: one journal, a partition for the server and one for each room, and what looks after them. */
export class DiskStore implements Store {
  readonly home: Reader
  readonly #dir: string
  readonly #limits: StoreLimits
  readonly #shared: Shared
  readonly #queue: CommitQueue
  readonly #upkeep: Upkeep
  readonly #exclusive = new Exclusive()
  readonly #unlock: () => void
  readonly #declarations = new Declarations()
  /** Those that are open, or have changes in the journal alone. */
  readonly #partitions = new Map<string, Partition>()
  /** Open rooms, least recently used first. */
  readonly #openRooms = new Map<string, Partition>()
  readonly #home: Partition
  readonly #touched = new Set<Partition>()
  #closing: Promise<void> | undefined

  constructor(options: {
    readonly dir: string
    readonly disk: Disk
    readonly logger: Logger
    readonly limits: StoreLimits
    readonly journal: Journal
    /** That of the last commit in the journal. */
    readonly position: number
    /** What the journal has, in order. */
    readonly places: readonly Place[]
    unlock(): void
  }) {
    const { disk, journal, limits, logger } = options
    this.#dir = options.dir
    this.#limits = limits
    this.#unlock = options.unlock
    this.#queue = new CommitQueue({
      journal,
      position: options.position,
      apply: (record, file, offset) => this.#apply(record, file, offset),
      onBatch: () => this.#afterBatch(),
    })
    this.#shared = {
      disk,
      journal,
      pool: new FilePool(disk, limits.openFiles),
      cache: new BlockCache(limits.cacheBytes),
      stretchKeys: limits.segmentRows,
      newPace: () => new Pace(limits.sliceMs),
      fileNumbers: new FileNumbers(),
      position: () => this.#queue.position,
      collectionOf: (name) => this.#declarations.find(name),
      indexSealed: (partition, collection, field) =>
        partition.locked(() => indexSealed(partition, this.#shared, { collection, field })),
    }
    this.#upkeep = new Upkeep({
      shared: this.#shared,
      partitions: this.#partitions,
      journalBytes: limits.journalBytes,
      rotate: () => this.#queue.between(() => journal.rotate(this.#queue.position)),
      onSaved: (partition) => this.#forgetUnused(partition),
      logger,
    })
    this.#home = this.#partitionOf('')
    this.home = this.#readerOf(this.#home, undefined, () => {})
    for (const place of options.places) this.#partitionOf(place.partition).accept(place)
  }

  /** Reads the server's own rows; nothing else may be called before. */
  async begin(): Promise<void> {
    await this.#home.open()
    this.#upkeep.attend(this.#partitions.values())
  }

  get position(): number {
    return this.#queue.position
  }

  async openRoom(roomId: string): Promise<RoomLease> {
    this.#requireOpen()
    if (roomId === '') throw new TypeError('a room ID is not empty')
    const partition = this.#partitionOf(roomId)
    partition.leases++
    try {
      await partition.open()
    } catch (error) {
      partition.leases--
      this.#forgetUnused(partition)
      throw error
    }
    this.#markUsed(partition)
    this.#closeUnused()
    let isOpen = true
    const reader = this.#readerOf(partition, roomId, () => {
      if (!isOpen) throw new Error(`the lease of ${roomId} was given back`)
    })
    return {
      ...reader,
      roomId,
      [Symbol.dispose]: () => {
        if (!isOpen) return
        isOpen = false
        partition.leases--
        this.#markUsed(partition)
        this.#closeUnused()
      },
    }
  }

  async commit(build: (position: number) => readonly Op[]): Promise<number> {
    this.#requireOpen()
    return await this.#queue.commit((position) => {
      const ops = build(position)
      for (const op of ops) if (op.op !== 'dropRoom') this.#declarations.note(op.collection)
      return ops
    })
  }

  async scrub(roomIds: readonly string[]): Promise<ReadonlySet<string>> {
    this.#requireOpen()
    const rooms = roomIds.map((id) => this.#partitionOf(id))
    const done = await this.#upkeep.scrub([...rooms, this.#home])
    return new Set([...done].map(({ id }) => id).filter((id) => id !== ''))
  }

  async exclusive<T>(key: string, work: () => Promise<T>): Promise<T> {
    return await this.#exclusive.run(key, work)
  }

  /**
   * Brings all changes so far into the partitions' own files, so that the journal is as short as can be: for a backup, or
   * before a move. Commits go on meanwhile.
   * @throws StorageFull when the disk has no room: nothing is lost
   * @throws StorageFailed after an error of the disk: read-only until started anew
   * @throws StoreDamaged for a file that is not as it was written; the journal stays as long as it was
   */
  async checkpoint(): Promise<void> {
    this.#requireOpen()
    await this.#upkeep.saveAll()
  }

  /** Ends commits and works under way, and saves what is quickly saved. Whatever is not saved is in the journal. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing ??= this.#close()
    await this.#closing
  }

  async #close(): Promise<void> {
    await this.#queue.idle()
    await this.#upkeep.stop()
    const { journal, pool } = this.#shared
    const end = performance.now() + this.#limits.stopMs
    try {
      if (!journal.failure) await this.#upkeep.saveAll(() => performance.now() > end)
    } catch {
      // It was logged, and what was to be saved is in the journal.
    } finally {
      try {
        await journal.close()
        await pool.close()
      } finally {
        this.#unlock()
      }
    }
  }

  #requireOpen(): void {
    if (this.#closing) throw new Error('the store is closed')
  }

  #partitionOf(id: string): Partition {
    let partition = this.#partitions.get(id)
    if (!partition) {
      partition = new Partition(id, this.#folderOf(id), this.#shared)
      this.#partitions.set(id, partition)
    }
    return partition
  }

  /** Room IDs are others' making: long, with any characters, and some differ only in case. */
  #folderOf(id: string): string {
    if (id === '') return path.join(this.#dir, 'home')
    return path.join(this.#dir, 'rooms', createHash('sha256').update(id).digest('hex').slice(0, 40))
  }

  #readerOf(partition: Partition, roomId: string | undefined, check: () => void): Reader {
    const checked = (collection: Collection): void => {
      this.#requireOpen()
      check()
      checkPlace(collection, roomId)
      this.#declarations.note(collection)
    }
    return {
      async get<R extends Row>(collection: Collection<R>, key: Key) {
        checked(collection)
        return (await partition.get(collection, key)) as R | undefined
      },
      async range<R extends Row>(collection: Collection<R>, range: Range) {
        checked(collection)
        return (await partition.range(collection, range)) as readonly Row[] as readonly R[]
      },
      async count(collection: Collection, range?: Omit<Range, 'limit' | 'direction'>) {
        checked(collection)
        return await partition.count(collection, range)
      },
    }
  }

  #apply(record: CommitRecord, journal: number, offset: number): void {
    for (const { partition: id, changes, start, length, drop } of record.sections) {
      const partition = this.#partitionOf(id)
      const place = { position: record.position, partition: id, journal, offset: offset + start, length, drop }
      partition.accept(place, changes)
      this.#touched.add(partition)
    }
  }

  #afterBatch(): void {
    this.#upkeep.attend(this.#touched)
    this.#touched.clear()
  }

  #markUsed(partition: Partition): void {
    this.#openRooms.delete(partition.id)
    this.#openRooms.set(partition.id, partition)
  }

  /** Closes rooms that nobody uses, the least recently used first, until the others are within the limits. */
  #closeUnused(): void {
    let bytes = 0
    for (const { weight } of this.#openRooms.values()) bytes += weight
    for (const [id, partition] of this.#openRooms) {
      if (this.#openRooms.size <= this.#limits.openRooms && bytes <= this.#limits.openBytes) return
      if (partition.leases > 0 || partition.isBusy) continue
      bytes -= partition.weight
      partition.close()
      this.#openRooms.delete(id)
      this.#forgetUnused(partition)
    }
  }

  /** Of a closed room whose changes are all in its files nothing needs to be known. */
  #forgetUnused(partition: Partition): void {
    const { id } = partition
    if (partition.isOpen || partition.isBusy || partition.leases > 0 || partition.tail.length > 0) return
    // One that was forgotten before may have a successor by now, with changes of its own.
    if (this.#partitions.get(id) === partition) this.#partitions.delete(id)
    if (this.#openRooms.get(id) === partition) this.#openRooms.delete(id)
  }
}
