import path from 'node:path'
import type { Disk } from './disk.ts'
import { StoreDamaged, UnknownFormat } from './errors.ts'
import { readWhole, replaceFile } from './replace-file.ts'

/** A step from one format of the folder to the next. It may be interrupted, and is then run again from its beginning. */
export interface Migration {
  /** The format that it makes of the one before. */
  readonly to: number
  run(disk: Disk, dir: string): Promise<void>
}

/** In the order of their formats; the last one is what this version of the program writes. None was needed so far. */
const migrations: readonly Migration[] = []
const firstFormat = 1
const fileName = 'format.json'

/**
 * Brings an older folder to the newest format, step by step.
 * @param steps only tests have others than the program's own
 * @returns whether the folder has a store; `false` for a new one, which `writeFormat` completes
 * @throws UnknownFormat for a newer one, which is left as it is
 */
export async function migrate(disk: Disk, dir: string, steps: readonly Migration[] = migrations): Promise<boolean> {
  const file = path.join(dir, fileName)
  const text = await readWhole(disk, file)
  if (text === undefined) return false
  let format = parseFormat(text, file)
  // A process that was killed may have renamed it without having synced the folder.
  await disk.syncFolder(dir)
  const newest = newestOf(steps)
  if (format > newest) {
    throw new UnknownFormat(
      `${file}: format ${format} is of a newer version of this program, which knows up to ${newest}`,
    )
  }
  for (const step of steps) {
    if (step.to <= format) continue
    await step.run(disk, dir)
    format = step.to
    await writeNumber(disk, file, format)
  }
  return true
}

/** The last act of making a new store. */
export async function writeFormat(disk: Disk, dir: string, steps: readonly Migration[] = migrations): Promise<void> {
  await writeNumber(disk, path.join(dir, fileName), newestOf(steps))
}

function newestOf(steps: readonly Migration[]): number {
  return steps.at(-1)?.to ?? firstFormat
}

function parseFormat(text: string, file: string): number {
  let format: unknown
  try {
    format = (JSON.parse(text) as { format?: unknown }).format
  } catch (error) {
    throw new StoreDamaged(`${file} is no JSON`, { cause: error })
  }
  if (typeof format !== 'number' || !Number.isSafeInteger(format) || format < firstFormat) {
    throw new StoreDamaged(`${file} names no format`)
  }
  return format
}

async function writeNumber(disk: Disk, file: string, format: number): Promise<void> {
  await replaceFile(disk, file, (handle) => handle.write(0, Buffer.from(`${JSON.stringify({ format })}\n`)))
}
