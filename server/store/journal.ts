import path from 'node:path'
import type { Logger } from '../observe/environment.ts'
import { StorageFailed, StorageFull } from './contract.ts'
import { type Disk, type DiskFile, isFull, isOutOfHandles } from './disk.ts'
import { StoreDamaged } from './errors.ts'
import { FrameReader, sealFrame } from './frames.ts'
import { nameOf, numberOf, readLive, startFile, writeLive } from './journal-files.ts'
import { type Place, scanJournal } from './journal-scan.ts'

interface JournalFile {
  readonly number: number
  readonly file: DiskFile
  /** Where its first record is. */
  start: number
  /** The end of the last record that is known to be on the disk. */
  end: number
  /** Up to here the file has zeros beyond its end: overwriting costs half of what growing does, in time and in CPU. */
  reserved: number
  readers: number
  /** To be closed by the last reader. */
  isGivenUp: boolean
}

const reserveBytes = 256 * 1024
/** Sections that lie closer than this are read together. */
const gapBytes = 64 * 1024
const readBytes = 1024 * 1024

/**
 * The one journal of the server: every commit is one record, and is durable when the record is. It is a row of numbered
 * files; `live.json` says which of them must be there, so that a missing one is noticed.
 */
export class Journal {
  readonly #disk: Disk
  readonly #folder: string
  readonly #rotateBytes: number
  readonly #files = new Map<number, JournalFile>()
  #current: JournalFile
  #failure: StorageFailed | undefined
  /** `live.json` is written by one at a time. */
  #live: Promise<unknown> = Promise.resolve()

  private constructor(options: JournalOptions, files: readonly JournalFile[]) {
    this.#disk = options.disk
    this.#folder = options.folder
    this.#rotateBytes = options.rotateBytes
    for (const file of files) this.#files.set(file.number, file)
    this.#current = files.at(-1) as JournalFile
  }

  /** Makes the first file in an empty folder. */
  static async create({ disk, folder }: Pick<JournalOptions, 'disk' | 'folder'>): Promise<void> {
    await disk.makeFolder(folder)
    const file = await startFile(disk, folder, 1, 0)
    await file.close()
    await writeLive(disk, folder, { oldest: 1, newest: 1 })
  }

  /** Whether the folder has a record, whatever else is missing. */
  static async isUsed(disk: Disk, folder: string): Promise<boolean> {
    for (const name of await disk.list(folder)) {
      if (numberOf(name) === undefined) continue
      const file = await disk.open(path.join(folder, name), 'read')
      try {
        if (await new FrameReader(file).findAfter(0)) return true
      } finally {
        await file.close()
      }
    }
    return false
  }

  /**
   * Reads all records' first lines. A torn tail, of which nobody was told, is cut.
   * @param options.onPlace is told of each section, in order
   * @returns the journal and the position of the last record
   * @throws StoreDamaged for anything else that is not as it was written
   */
  static async open(options: JournalOptions & { onPlace(place: Place): void }): Promise<[Journal, number]> {
    const { disk, folder } = options
    const { oldest, newest } = await readLive(disk, folder)
    // A process that was killed may have renamed it without having synced the folder; what follows relies on it.
    await disk.syncFolder(folder)
    const present = new Set(await disk.list(folder))
    for (const name of present) {
      const number = numberOf(name)
      // Older ones were given up, newer ones had not been taken into use.
      if (number !== undefined && (number < oldest || number > newest)) await disk.remove(path.join(folder, name))
    }
    const files: JournalFile[] = []
    let position: number | undefined
    try {
      for (let number = oldest; number <= newest; number++) {
        const name = path.join(folder, nameOf(number))
        if (!present.has(nameOf(number))) throw new StoreDamaged(`${name} is missing`)
        const file = await disk.open(name, 'log')
        const found = newFile(number, file, 0)
        files.push(found)
        const isNewest = number === newest
        const scanned = await scanJournal(file, { name, number, isNewest, after: position, ...options })
        // The same for its last records, which are shown from now on.
        if (isNewest) await file.sync()
        found.start = scanned.start
        found.end = scanned.end
        found.reserved = scanned.size
        position = scanned.position
      }
    } catch (error) {
      for (const { file } of files) await file.close()
      throw error
    }
    return [new Journal(options, files), position ?? 0]
  }

  /** All files together. */
  get sizeBytes(): number {
    let sum = 0
    for (const file of this.#files.values()) sum += file.end
    return sum
  }

  /** Whether it is one file without a record. */
  get isEmpty(): boolean {
    return this.#files.size === 1 && this.#current.end === this.#current.start
  }

  /** The number of the file that is written to. */
  get current(): number {
    return this.#current.number
  }

  /** The oldest file that is still there. */
  get oldest(): number {
    return this.#files.keys().next().value as number
  }

  /**
   * Writes the frames with one durable write: one way through the thread pool, where the system can do that.
   * @param position the last one before these frames, for a new file's head
   * @returns where the first frame lies; they follow each other
   * @throws StorageFull, and nothing of the frames remains
   * @throws StorageFailed now and at every later try
   */
  async append(frames: readonly Buffer[], position: number): Promise<{ journal: number; offset: number }> {
    if (this.#failure) throw this.#failure
    if (this.#current.end >= this.#rotateBytes) await this.#rotateIfPossible(position)
    const file = this.#current
    const offset = file.end
    for (const frame of frames) sealFrame(frame, offset)
    const bytes = frames.length === 1 ? (frames[0] as Buffer) : Buffer.concat(frames)
    try {
      if (offset + bytes.length > file.reserved) await this.#reserve(file, offset + bytes.length)
      await file.file.write(offset, bytes)
    } catch (error) {
      throw await this.#undo(file, error)
    }
    file.end += bytes.length
    // Zeros must never be written over records: where there was no room for zeros, the records have grown past them.
    file.reserved = Math.max(file.reserved, file.end)
    return { journal: file.number, offset }
  }

  /** Zeros for the records to come; where there is no room for them, the records may fit all the same. */
  async #reserve(file: JournalFile, needed: number): Promise<void> {
    const size = needed + Math.min(reserveBytes, this.#rotateBytes)
    try {
      await file.file.write(file.reserved, Buffer.alloc(size - file.reserved))
      file.reserved = size
    } catch (error) {
      if (!isFull(error)) throw error
      await file.file.truncate(file.end)
      file.reserved = file.end
    }
  }

  /** After a write that did not succeed: back to the last good record, or to read-only. */
  async #undo(file: JournalFile, error: unknown): Promise<Error> {
    try {
      await file.file.truncate(file.end)
      file.reserved = file.end
      // Without this a power cut could bring back what was refused.
      await file.file.sync()
    } catch (second) {
      return this.fail(isFull(error) ? second : error)
    }
    return isFull(error) ? new StorageFull('the disk is full', { cause: error }) : this.fail(error)
  }

  /** From now on nothing is written any more. */
  fail(cause: unknown): StorageFailed {
    this.#failure ??=
      cause instanceof StorageFailed ? cause : new StorageFailed('the disk failed; the store is read-only', { cause })
    return this.#failure
  }

  get failure(): StorageFailed | undefined {
    return this.#failure
  }

  /** Too many open files are no reason to refuse a commit: the old file takes it as well. */
  async #rotateIfPossible(position: number): Promise<void> {
    try {
      await this.rotate(position)
    } catch (error) {
      if (!isOutOfHandles(error)) throw error
    }
  }

  /**
   * Goes on in a new file. Not to be called while something is appended.
   * @throws StorageFull and StorageFailed like `append`, and when too many files are open; the old file stays in use
   */
  async rotate(position: number): Promise<void> {
    if (this.#failure) throw this.#failure
    const number = this.#current.number + 1
    let file: DiskFile | undefined
    try {
      file = await startFile(this.#disk, this.#folder, number, position)
      const next = newFile(number, file, await file.size())
      await this.#withLive(async () => {
        await writeLive(this.#disk, this.#folder, { oldest: this.oldest, newest: number })
        this.#current = next
        this.#files.set(number, next)
      })
    } catch (error) {
      await file?.close()
      if (isFull(error)) throw new StorageFull('the disk is full', { cause: error })
      throw isOutOfHandles(error) ? error : this.fail(error)
    }
  }

  /** Gives up all files before this one, which has to be there. Errors leave files behind that the next start removes. */
  async removeBefore(number: number): Promise<void> {
    await this.#withLive(async () => {
      const old = [...this.#files.values()].filter((file) => file.number < number)
      if (old.length === 0) return
      await writeLive(this.#disk, this.#folder, { oldest: number, newest: this.#current.number })
      for (const file of old) {
        this.#files.delete(file.number)
        file.isGivenUp = true
        if (file.readers === 0) await file.file.close()
        await this.#disk.remove(path.join(this.#folder, nameOf(file.number)))
      }
    })
  }

  async #withLive(work: () => Promise<void>): Promise<void> {
    const mine = this.#live.then(work, work)
    this.#live = mine
    await mine
  }

  /**
   * The JSON of these sections, in their order.
   * @param places ordered by position
   */
  async read(places: readonly Place[]): Promise<readonly Buffer[]> {
    const found: Buffer[] = []
    for (let first = 0; first < places.length; ) {
      const start = places[first] as Place
      let end = start.offset + start.length
      let last = first + 1
      for (; last < places.length; last++) {
        const next = places[last] as Place
        const isNear = next.journal === start.journal && next.offset - end <= gapBytes
        if (!isNear || next.offset + next.length - start.offset > readBytes) break
        end = next.offset + next.length
      }
      const bytes = await this.#bytesOf(start.journal, start.offset, end - start.offset)
      if (bytes?.length !== end - start.offset) {
        throw new StoreDamaged(`${path.join(this.#folder, nameOf(start.journal))} has become shorter`)
      }
      for (; first < last; first++) {
        const { offset, length } = places[first] as Place
        found.push(bytes.subarray(offset - start.offset, offset - start.offset + length))
      }
    }
    return found
  }

  async #bytesOf(number: number, offset: number, length: number): Promise<Buffer | undefined> {
    const file = this.#files.get(number)
    if (!file) return undefined
    file.readers++
    try {
      return await file.file.read(offset, length)
    } finally {
      file.readers--
      if (file.isGivenUp && file.readers === 0) await file.file.close()
    }
  }

  async close(): Promise<void> {
    for (const { file } of this.#files.values()) await file.close()
    this.#files.clear()
  }
}

export interface JournalOptions {
  readonly disk: Disk
  readonly folder: string
  /** A file that has reached this size is the last but one. */
  readonly rotateBytes: number
  readonly logger: Logger
}

function newFile(number: number, file: DiskFile, start: number): JournalFile {
  return { number, file, start, end: start, reserved: start, readers: 0, isGivenUp: false }
}
