/**
 * Commits without end to the store of the folder it is given, several at a time, and writes each position to stdout once it
 * is acknowledged. Meant to be killed.
 */
import { writeSync } from 'node:fs'
import { openStore } from '../../server/store/index.ts'
import { crashLimits, opsAt } from './crash-commits.ts'

const store = await openStore({ dir: process.argv[2] as string, limits: crashLimits })
async function write(): Promise<never> {
  for (;;) writeSync(1, `${await store.commit(opsAt)}\n`)
}
await Promise.all([1, 2, 3, 4, 5].map(write))
