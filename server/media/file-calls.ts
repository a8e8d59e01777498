/** Node's calls for files that call back: half the CPU of those in `fs.promises`, for each block of a large file. */
import fs from 'node:fs'

/** Makes the file; it must not be there yet. Readable by the owner alone. @returns its descriptor */
export const createFile = (path: string): Promise<number> => done((back) => fs.open(path, 'wx', 0o600, back))

export const openFile = (path: string): Promise<number> => done((back) => fs.open(path, 'r', back))

/** @returns how many bytes were read: 0 at the end of the file */
export const readFile = (file: number, into: Buffer, length: number, at: number): Promise<number> =>
  done((back) => fs.read(file, into, 0, length, at, back))

/** Appends all of the parts. */
export async function writeParts(file: number, parts: readonly Uint8Array[]): Promise<void> {
  let rest = parts.filter((part) => part.length > 0)
  while (rest.length > 0) {
    const now = rest
    let written = await done<number>((back) => fs.writev(file, now, back))
    // A short write is legal: go on from where it ended.
    while (rest[0] && written >= rest[0].length) {
      written -= rest[0].length
      rest = rest.slice(1)
    }
    if (rest[0] && written > 0) rest = [rest[0].subarray(written), ...rest.slice(1)]
  }
}

/** Contents and size last from now on. */
export const syncFile = (file: number): Promise<void> => done((back) => fs.fdatasync(file, back))

export const closeFile = (file: number): Promise<void> => done((back) => fs.close(file, back))

/** Names made and renamed in the folder last from now on. */
export async function syncFolder(path: string): Promise<void> {
  // Windows cannot open a folder to sync it, and keeps its entries safe by itself.
  if (process.platform === 'win32') return
  const folder = await openFile(path)
  try {
    await done<void>((back) => fs.fsync(folder, back))
  } finally {
    await closeFile(folder)
  }
}

function done<T>(call: (back: (error: Error | null, value?: T) => void) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    call((error, value) => (error ? reject(error) : resolve(value as T)))
  })
}
