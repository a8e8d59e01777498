import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Readable } from 'node:stream'
import { MatrixError, tooLarge } from '../../shared/matrix/errors.ts'
import { noteDeadBytes } from '../observe/dead-bytes.ts'
import { StorageFull } from '../store/index.ts'
import { closeFile, createFile, openFile, readFile, syncFile, syncFolder, writeParts } from './file-calls.ts'

/** Bytes gathered before they are written: fewer, larger writes. */
const WRITE_BYTES = 512 * 1024
const READ_BYTES = 512 * 1024
/** Buffers for reading that are kept while nobody reads. */
const MAX_IDLE_BUFFERS = 4

const NAME = /^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)?$/

/** Hands over bytes piece by piece; a piece may be used again as soon as `write` has resolved. */
export type BodyWriter = (write: (bytes: Uint8Array) => Promise<void>) => Promise<void>

/**
 * The folder with the bytes of uploads and thumbnails. A file is there whole or not at all: it is written under another name,
 * synced, renamed, and its folder synced, before anyone is told of it.
 */
export class MediaFiles {
  readonly #dir: string
  readonly #idleBuffers: Buffer[] = []
  /** Folders whose own names are known to last. */
  readonly #folders = new Map<string, Promise<void>>()
  /** Names on their way into the store. */
  readonly #held = new Set<string>()
  #made = 0

  constructor(dir: string) {
    this.#dir = dir
  }

  /** Makes the folders, and clears away what a crash left half written. */
  async open(): Promise<void> {
    await mkdir(this.#unfinished, { recursive: true, mode: 0o700 })
    for (const name of await readdir(this.#unfinished)) await rm(join(this.#unfinished, name), { force: true })
  }

  /**
   * Writes a stream to the file of this name, durably.
   * @param maxBytes more are refused, and nothing stays
   * @param refusal what is thrown then
   * @returns how many bytes there were
   * @throws StorageFull when the disk has no room
   */
  async write(
    name: string,
    bytes: Readable,
    maxBytes: number,
    refusal: () => Error = () => tooLarge(`Uploads are limited to ${maxBytes} bytes`),
  ): Promise<number> {
    return this.#put(name, async (file) => {
      let sizeBytes = 0
      let gathered: Buffer[] = []
      let gatheredBytes = 0
      for await (const chunk of bytes as AsyncIterable<Buffer>) {
        sizeBytes += chunk.length
        if (sizeBytes > maxBytes) throw refusal()
        gathered.push(chunk)
        gatheredBytes += chunk.length
        if (gatheredBytes >= WRITE_BYTES) {
          await writeParts(file, gathered)
          gathered = []
          noteDeadBytes(gatheredBytes)
          gatheredBytes = 0
        }
      }
      await writeParts(file, gathered)
      gathered = []
      noteDeadBytes(gatheredBytes)
      return sizeBytes
    })
  }

  async writeBytes(name: string, bytes: Uint8Array): Promise<void> {
    await this.#put(name, (file) => writeParts(file, [bytes]))
  }

  /** @returns its size, or `undefined` where there is no such file */
  async sizeOf(name: string): Promise<number | undefined> {
    try {
      return (await stat(this.pathOf(name))).size
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined
      throw cause
    }
  }

  /** @returns its first bytes; fewer where it is shorter */
  async beginning(name: string, maxBytes: number): Promise<Uint8Array> {
    const file = await openFile(this.pathOf(name))
    try {
      const buffer = Buffer.alloc(maxBytes)
      return buffer.subarray(0, await readFile(file, buffer, maxBytes, 0))
    } finally {
      await closeFile(file)
    }
  }

  /** @param range first and last byte, both inclusive */
  body(name: string, { start, end }: { readonly start: number; readonly end: number }): BodyWriter {
    return async (write) => {
      const file = await openFile(this.pathOf(name))
      try {
        // New memory for each piece would cost more than reading it.
        const buffer = this.#idleBuffers.pop() ?? Buffer.allocUnsafeSlow(READ_BYTES)
        for (let at = start; at <= end; ) {
          const length = await readFile(file, buffer, Math.min(READ_BYTES, end + 1 - at), at)
          if (length === 0) throw new Error(`the media file ${name} is shorter than it was`)
          await write(buffer.subarray(0, length))
          at += length
        }
        // Not after an error: then nobody knows whether the system still reads from it.
        if (this.#idleBuffers.length < MAX_IDLE_BUFFERS) this.#idleBuffers.push(buffer)
      } finally {
        await closeFile(file)
      }
    }
  }

  async remove(name: string): Promise<void> {
    await rm(this.pathOf(name), { force: true })
  }

  /** Removes all files whose names begin so, up to their dot. */
  async removeFamily(beginning: string): Promise<void> {
    for (const name of await namesIn(dirname(this.pathOf(beginning)))) {
      if (name.startsWith(`${beginning}.`)) await this.remove(name)
    }
  }

  /** Until it is disposed of, `removeUnknown` leaves the file of this name: the row that will name it is not there yet. */
  hold(name: string): Disposable {
    this.#held.add(name)
    return { [Symbol.dispose]: () => this.#held.delete(name) }
  }

  /**
   * Removes files that nothing names: a crash came between the file and its row, or between the row's end and the file's.
   * @returns how many
   */
  async removeUnknown(isKnown: (name: string) => Promise<boolean>, stop: AbortSignal): Promise<number> {
    let removed = 0
    for (const folder of await namesIn(this.#dir)) {
      // Names have 64 first letters; the folder for what is unfinished has more letters.
      if (folder.length !== 1) continue
      for (const name of await namesIn(join(this.#dir, folder))) {
        if (stop.aborted) return removed
        // Looked at in this order: what is no longer held has its row already.
        if (!NAME.test(name) || this.#held.has(name) || (await isKnown(name))) continue
        await this.remove(name)
        removed += 1
      }
    }
    return removed
  }

  /**
   * Spread over 64 folders by the first letter, so that none grows too large.
   * @param name of letters, digits, `_`, `-`, and at most one dot with more of them: never a path
   */
  pathOf(name: string): string {
    if (!NAME.test(name)) throw new RangeError('not a name of a media file')
    return join(this.#dir, name.slice(0, 1), name)
  }

  async #put<T>(name: string, fill: (file: number) => Promise<T>): Promise<T> {
    this.#made += 1
    const unfinished = join(this.#unfinished, `${process.pid}-${this.#made}`)
    const path = this.pathOf(name)
    try {
      const file = await createFile(unfinished)
      let result: T
      try {
        result = await fill(file)
        await syncFile(file)
      } finally {
        await closeFile(file)
      }
      const folder = dirname(path)
      await this.#lastingFolder(folder)
      await rename(unfinished, path)
      await syncFolder(folder)
      return result
    } catch (cause) {
      // Should somebody have cleared it away, the next one makes it anew.
      this.#folders.delete(dirname(path))
      await rm(unfinished, { force: true })
      throw asKnown(cause)
    }
  }

  /** Synced once by each process, also where it is there already: one that crashed may have made it and not synced it. */
  async #lastingFolder(folder: string): Promise<void> {
    const known = this.#folders.get(folder)
    if (known) return known
    const made = mkdir(folder, { recursive: true, mode: 0o700 }).then(() => syncFolder(this.#dir))
    this.#folders.set(folder, made)
    try {
      await made
    } catch (cause) {
      this.#folders.delete(folder)
      throw cause
    }
  }

  get #unfinished(): string {
    return join(this.#dir, 'unfinished')
  }
}

async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder)
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw cause
  }
}

function asKnown(cause: unknown): unknown {
  const { code } = cause as NodeJS.ErrnoException
  if (code === 'ENOSPC' || code === 'EDQUOT') return new StorageFull('The disk is full', { cause })
  if (code === 'ECONNRESET' || code === 'ERR_STREAM_PREMATURE_CLOSE' || code === 'ABORT_ERR') {
    return new MatrixError('M_UNKNOWN', 400, 'The upload broke off')
  }
  return cause
}
