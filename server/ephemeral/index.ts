/**
 * The door of `ephemeral/`: typing, receipts and read markers, presence.
 * Whoever is told of a change (sync, federation) subscribes to `onChange` of the part.
 */
import type { AccountsForReaders } from '../accounts/index.ts'
import type { Environment } from '../observe/environment.ts'
import type { RoomsForReaders } from '../rooms/index.ts'
import type { Store } from '../store/index.ts'
import { type EphemeralEdus, ephemeralEdus } from './edus.ts'
import { openPresence, type Presence } from './presence.ts'
import { openReceipts, type Receipts } from './receipts.ts'
import { createSerial, type Serial } from './serial.ts'
import { createTyping, type Typing } from './typing.ts'

export type { EphemeralEdus } from './edus.ts'
export type { Presence } from './presence.ts'
export type { PresenceState } from './presence-state.ts'
export type { Receipts } from './receipts.ts'
export type { Serial } from './serial.ts'
export { MAIN_TIMELINE, threadOf } from './thread-of.ts'
export { tellServers } from './to-servers.ts'
export type { Typing } from './typing.ts'

export interface Ephemeral extends Disposable {
  readonly typing: Typing
  readonly receipts: Receipts
  readonly presence: Presence
  /** What typing and presence are counted by; tokens of clients hold a number of it. */
  readonly serial: Serial
  /** For federation. */
  readonly edus: EphemeralEdus
}

export async function openEphemeral(deps: {
  readonly environment: Environment
  readonly store: Store
  readonly rooms: RoomsForReaders
  readonly accounts: AccountsForReaders
}): Promise<Ephemeral> {
  const serial = createSerial(deps.environment.random.bytes(5))
  const typing = createTyping({ ...deps, serial })
  const receipts = await openReceipts(deps)
  const presence = await openPresence({ ...deps, serial })
  return {
    typing,
    receipts,
    presence,
    serial,
    edus: ephemeralEdus(typing, receipts, presence),
    [Symbol.dispose]() {
      typing[Symbol.dispose]()
      presence[Symbol.dispose]()
    },
  }
}
