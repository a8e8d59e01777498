import type { Credentials, KeyValueStore } from './credentials.ts'

/** The SDK puts its own prefix before it. */
export function syncDatabaseName({ userId, deviceId }: Pick<Credentials, 'userId' | 'deviceId'>): string {
  return `hearth-sync-${userId}-${deviceId}`
}

export function cryptoDatabasePrefix({ userId, deviceId }: Pick<Credentials, 'userId' | 'deviceId'>): string {
  return `hearth-crypto-${userId}-${deviceId}`
}

/**
 * Removes what a session has kept on this device, without opening it: for sessions that have ended for good. A database
 * that something still holds open is removed when it is let go.
 */
export function removeDatabases(credentials: Credentials, indexedDB: IDBFactory): void {
  const prefix = cryptoDatabasePrefix(credentials)
  for (const name of [
    `matrix-js-sdk:${syncDatabaseName(credentials)}`,
    `${prefix}::matrix-sdk-crypto`,
    `${prefix}::matrix-sdk-crypto-meta`,
  ]) {
    indexedDB.deleteDatabase(name)
  }
}

/** What belongs to the device and not to a person. */
const KEPT = new Set(['hearth.theme', 'hearth.language'])

/** Removes what anybody's session left in the key-value store: session, unsent messages, drafts, notes about the key. */
export function removeValues(store: KeyValueStore & { readonly length: number; key(at: number): string | null }): void {
  const keys = Array.from({ length: store.length }, (_, at) => store.key(at))
  for (const key of keys) if (key?.startsWith('hearth.') && !KEPT.has(key)) store.removeItem(key)
}
