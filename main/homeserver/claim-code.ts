import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

/**
 * The code that claims the home, from the file that the server keeps in `data_dir` while nobody has.
 * @param configFile as `prepareHomeFolder` made it
 */
export function findClaimCode(configFile: string): string | null {
  const { data_dir } = JSON.parse(readFileSync(configFile, 'utf8')) as { data_dir: string }
  try {
    return readFileSync(join(dirname(configFile), data_dir, 'claim-code'), 'utf8').trim()
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw cause
  }
}
