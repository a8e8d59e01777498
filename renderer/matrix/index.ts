/**
 * The door to Matrix. What is needed before anyone has signed in is small and comes at once; the SDK with its
 * cryptography is loaded by `openSession`, and only then. No Vue and no DOM here: it also runs in Node.
 */
export { type Credentials, type KeyValueStore, readCredentials, writeCredentials } from './credentials.ts'
export { type FoundServer, findHome, findServer } from './discovery.ts'
export { Failure, type FailureKind, failureOf } from './failure.ts'
export type { KeyState, RestoreProgress } from './keys.ts'
export type * from './rows.ts'
export type { Connection, Session } from './session.ts'
export { claimHome, createAccount, isNameFree, localNameOf, signIn } from './sign-in.ts'
export { removeDatabases, removeValues } from './stored-data.ts'
export type { RoomTimeline } from './timeline.ts'

import type { OpenOptions, Session } from './session.ts'

/** See `session.ts`. */
export async function openSession(options: OpenOptions): Promise<Session> {
  const { openSession: open } = await import('./session.ts')
  return open(options)
}
