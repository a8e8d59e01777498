import path from 'node:path'
import { StorageFailed } from './contract.ts'
import type { Disk, DiskFile } from './disk.ts'

/** Names that end so are left-overs of a write that did not finish, and may be removed whenever they are found. */
export const unfinished = '.tmp'

/**
 * Writes a file so that after a crash either the old one or the whole new one is there.
 * @param write puts the content into the empty file; its last act need not be a sync
 * @throws StorageFailed when it is unknown which of the two will be there; other errors leave the old one
 */
export async function replaceFile(disk: Disk, file: string, write: (file: DiskFile) => Promise<void>): Promise<void> {
  const temporary = `${file}${unfinished}`
  try {
    const handle = await disk.open(temporary, 'create')
    try {
      await write(handle)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await disk.rename(temporary, file)
  } catch (error) {
    // The first error is the one to be told; a left-over is removed at the next start.
    await disk.remove(temporary).catch(() => undefined)
    throw error
  }
  try {
    await disk.syncFolder(path.dirname(file))
  } catch (error) {
    throw new StorageFailed(`${file} was renamed, but its folder could not be synced`, { cause: error })
  }
}

/** @returns the whole content, or `undefined` when there is no such file */
export async function readWhole(disk: Disk, file: string): Promise<string | undefined> {
  let handle: DiskFile
  try {
    handle = await disk.open(file, 'read')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
  try {
    return (await handle.read(0, await handle.size())).toString('utf8')
  } finally {
    await handle.close()
  }
}
