import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeTestCa } from '../../support/certificates.ts'
import { findSynapsePython } from '../synapse-python.ts'
import { type HearthSide, startHearth } from './hearth.ts'
import type { Side } from './side.ts'
import { startSynapse } from './synapse.ts'

/** Where Synapse is not installed these tests are skipped; on CI they fail. */
export const canRun = !('missing' in findSynapsePython()) || process.env.CI !== undefined

export interface World extends AsyncDisposable {
  readonly hearth: HearthSide
  readonly synapse: Side
}

/** A Hearth and a Synapse that can reach each other. */
export async function startWorld(): Promise<World> {
  const folder = await mkdtemp(join(tmpdir(), 'hearth-interop-'))
  const ca = await makeTestCa()
  await using undo = new AsyncDisposableStack()
  undo.defer(() => rm(folder, { recursive: true, force: true }))
  const hearth = undo.use(await startHearth(join(folder, 'hearth'), ca))
  const synapse = undo.use(await startSynapse(join(folder, 'synapse'), ca))
  const running = undo.move()
  return { hearth, synapse, [Symbol.asyncDispose]: () => running.disposeAsync() }
}

/** Both ways round: on whose server the room is made, and who comes from the other. */
export const bothWays = [
  { home: 'hearth', away: 'synapse' },
  { home: 'synapse', away: 'hearth' },
] as const
