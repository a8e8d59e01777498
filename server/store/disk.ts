/**
 * What the store needs of a disk, so that tests can lose unsynced writes, fill it up and break it.
 * Errors carry Node's `code` (`ENOENT`, `ENOSPC`, `EIO`, …). Paths are absolute.
 */
export interface Disk {
  /**
   * Opens a file; `create` makes it empty, whatever was there. In a `log` what was written lasts when `write` resolves,
   * without a `sync`.
   * @throws ENOENT when it is to be read or written and is not there
   */
  open(path: string, mode: 'read' | 'create' | 'log'): Promise<DiskFile>
  /** Atomic; replaces what is at `to`. Lasts only after `syncFolder`. */
  rename(from: string, to: string): Promise<void>
  /** Removing a file that is not there is no error. */
  remove(path: string): Promise<void>
  /** Bytes of a file. @throws ENOENT */
  sizeOf(path: string): Promise<number>
  /** Names in the folder, in no order; of a folder that is not there: none. */
  list(folder: string): Promise<readonly string[]>
  /** Makes the folder, and those above it, for the owner alone; one that is there is closed to others. New ones last. */
  makeFolder(folder: string): Promise<void>
  /** Removes an empty folder; one that is not there is no error. */
  removeFolder(folder: string): Promise<void>
  /** Names made, renamed and removed in the folder last from now on. */
  syncFolder(folder: string): Promise<void>
  /**
   * Keeps other processes (and other stores of this one) out for as long as this process lives.
   * @returns gives the lock back; `undefined` when someone else has it
   */
  lock(path: string): Promise<(() => void) | undefined>
}

export interface DiskFile {
  /** Up to `length` bytes from `offset`; fewer only at the end of the file. */
  read(offset: number, length: number): Promise<Buffer>
  /** All of it, or an error after which any part of it may have been written. */
  write(offset: number, bytes: Buffer): Promise<void>
  /** What was written, and the size, last from now on. */
  sync(): Promise<void>
  truncate(size: number): Promise<void>
  size(): Promise<number>
  close(): Promise<void>
}

/** Whether the error says that there is no room (or no quota) left. */
export function isFull(error: unknown): boolean {
  const code = errorCode(error)
  return code === 'ENOSPC' || code === 'EDQUOT'
}

/** Whether the process or the system has too many files open for the moment, which says nothing of the disk. */
export function isOutOfHandles(error: unknown): boolean {
  const code = errorCode(error)
  return code === 'EMFILE' || code === 'ENFILE'
}

export function errorCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}
