import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { writeDurableFile } from './durable-file.ts'

/**
 * Keeps the code that claims an unclaimed home in a file that only its owner can read: logs travel further than they should.
 * @param code `null`: the home is claimed, and no file stays
 * @returns the file's path while there is one
 */
export function keepClaimCode(dataDir: string, code: string | null): string | undefined {
  const path = join(dataDir, 'claim-code')
  if (code === null) {
    rmSync(path, { force: true })
    return undefined
  }
  writeDurableFile(path, `${code}\n`)
  return path
}
