import { mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Bounds } from './restore-bounds.ts'

/** What was saved, or `undefined` where nothing readable was: then the window opens in its usual place. */
export async function readSavedBounds(file: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(file, 'utf8'))
  } catch (cause) {
    if (cause instanceof SyntaxError || (cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw cause
  }
}

/** At once: windows close last when the app quits, and what is not written by then is never written. */
export function saveBounds(file: string, bounds: Bounds): void {
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(`${file}.new`, JSON.stringify(bounds))
  renameSync(`${file}.new`, file)
}
