import type { Disk, DiskFile } from './disk.ts'

interface Pooled {
  readonly file: Promise<DiskFile>
  users: number
  isForgotten: boolean
}

/** Files that are read now and then, kept open while there is room: opening costs as much as reading. */
export class FilePool {
  readonly #disk: Disk
  readonly #limit: number
  /** In the order of use, least recent first. */
  readonly #files = new Map<string, Pooled>()

  /** @param limit files open at the same time, besides those being read */
  constructor(disk: Disk, limit: number) {
    this.#disk = disk
    this.#limit = limit
  }

  /** Up to `length` bytes; fewer only at the end of the file. */
  async read(path: string, offset: number, length: number): Promise<Buffer> {
    const pooled = this.#files.get(path) ?? { file: this.#disk.open(path, 'read'), users: 0, isForgotten: false }
    this.#files.delete(path)
    this.#files.set(path, pooled)
    pooled.users++
    try {
      return await (await pooled.file).read(offset, length)
    } catch (error) {
      pooled.isForgotten = true
      if (this.#files.get(path) === pooled) this.#files.delete(path)
      throw error
    } finally {
      pooled.users--
      if (pooled.isForgotten) await this.#closeUnused(pooled)
      else await this.#shrink(this.#limit)
    }
  }

  /** Closes the file, now or when the last read of it has ended. */
  async forget(path: string): Promise<void> {
    const pooled = this.#files.get(path)
    if (!pooled) return
    this.#files.delete(path)
    pooled.isForgotten = true
    await this.#closeUnused(pooled)
  }

  async close(): Promise<void> {
    await this.#shrink(0)
  }

  async #shrink(limit: number): Promise<void> {
    if (this.#files.size <= limit) return
    for (const [path, pooled] of this.#files) {
      if (this.#files.size <= limit) return
      if (pooled.users > 0) continue
      this.#files.delete(path)
      await this.#closeUnused(pooled)
    }
  }

  async #closeUnused(pooled: Pooled): Promise<void> {
    if (pooled.users > 0) return
    let file: DiskFile
    try {
      file = await pooled.file
    } catch {
      // It was never open; whoever wanted to read it was told.
      return
    }
    await file.close()
  }
}
