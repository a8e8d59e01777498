/** The files of the journal: their names, how one begins, and `live.json`, which says which of them must be there. */
import path from 'node:path'
import type { Disk, DiskFile } from './disk.ts'
import { StoreDamaged } from './errors.ts'
import { textFrame } from './frames.ts'
import { readWhole, replaceFile } from './replace-file.ts'

export function nameOf(number: number): string {
  return `${String(number).padStart(10, '0')}.journal`
}

export function numberOf(name: string): number | undefined {
  const match = /^(\d{10})\.journal$/.exec(name)
  return match ? Number(match[1]) : undefined
}

/** A new file with its head, both safely on the disk; opened as a log. */
export async function startFile(disk: Disk, folder: string, number: number, after: number): Promise<DiskFile> {
  const name = path.join(folder, nameOf(number))
  const file = await disk.open(name, 'create')
  try {
    await file.write(0, textFrame(JSON.stringify({ journal: number, after })))
    await file.sync()
    await disk.syncFolder(folder)
  } finally {
    await file.close()
  }
  return await disk.open(name, 'log')
}

interface Live {
  readonly oldest: number
  readonly newest: number
}

const liveName = 'live.json'

/** Both the oldest and the newest number, so that a missing file is noticed. */
export async function writeLive(disk: Disk, folder: string, live: Live): Promise<void> {
  await replaceFile(disk, path.join(folder, liveName), (file) => file.write(0, Buffer.from(JSON.stringify(live))))
}

/** @throws StoreDamaged when it is missing or not as it was written */
export async function readLive(disk: Disk, folder: string): Promise<Live> {
  const name = path.join(folder, liveName)
  const text = await readWhole(disk, name)
  if (text === undefined) throw new StoreDamaged(`${name} is missing`)
  try {
    const { oldest, newest } = JSON.parse(text) as Live
    if (Number.isSafeInteger(oldest) && Number.isSafeInteger(newest) && oldest <= newest) return { oldest, newest }
  } catch (error) {
    throw new StoreDamaged(`${name} is no JSON`, { cause: error })
  }
  throw new StoreDamaged(`${name} does not name the journal's files`)
}
