import { collection, type Row } from '../store/index.ts'

/** An unambiguous row key of several parts, whatever characters they hold. */
export function rowKey(...parts: readonly string[]): string {
  return JSON.stringify(parts)
}

/** The range of an index that holds all keys of `rowKey(...parts, …)` with at least one more part. */
export function keysBelow(...parts: readonly string[]): { readonly from: string; readonly to: string } {
  const start = rowKey(...parts).slice(0, -1)
  // `-` is the next character after the comma that follows here.
  return { from: `${start},`, to: `${start}-` }
}

export type DeviceKeysRow = Row & { id: string; userId: string; deviceId: string; json: string }
export const deviceKeysRows = collection<DeviceKeysRow>({
  name: 'device-keys',
  place: 'home',
  key: 'id',
  indexes: ['userId'],
})

export type OneTimeKeyRow = Row & {
  id: string
  algorithm: string
  keyId: string
  json: string
  /** `orderKey(rowKey(userId, deviceId, algorithm), position of the upload)`: they are given out in this order. */
  queue: string
}
export const oneTimeKeyRows = collection<OneTimeKeyRow>({
  name: 'one-time-keys',
  place: 'home',
  key: 'id',
  indexes: ['queue'],
})

export type FallbackKeyRow = Row & {
  id: string
  device: string
  algorithm: string
  keyId: string
  json: string
  isUsed: boolean
}
export const fallbackKeyRows = collection<FallbackKeyRow>({
  name: 'fallback-keys',
  place: 'home',
  key: 'id',
  indexes: ['device'],
})

export type Usage = 'master' | 'self_signing' | 'user_signing'
export type CrossSigningKeyRow = Row & { id: string; userId: string; usage: Usage; publicKey: string; json: string }
export const crossSigningKeyRows = collection<CrossSigningKeyRow>({
  name: 'cross-signing-keys',
  place: 'home',
  key: 'id',
  indexes: ['userId'],
})

/** A signature that one user put on a key of another, or of their own, after it was uploaded. */
export type KeySignatureRow = Row & {
  id: string
  /** `rowKey(signer, owner of the key)` */
  pair: string
  targetKeyId: string
  /** e.g. `ed25519:base64` */
  signingKeyId: string
  signature: string
}
export const keySignatureRows = collection<KeySignatureRow>({
  name: 'key-signatures',
  place: 'home',
  key: 'id',
  indexes: ['pair'],
})

/** The newest change of each user's devices or cross-signing keys. */
export type DeviceListChangeRow = Row & { userId: string; position: number }
export const deviceListChangeRows = collection<DeviceListChangeRow>({
  name: 'device-list-changes',
  place: 'home',
  key: 'userId',
  indexes: ['position'],
})

/**
 * A change of one of our users' devices or keys that other servers are still to be told: it goes in the commit that makes its EDUs.
 */
export type UntoldChangeRow = Row & {
  /** `orderKey(position of the commit, number within it)` */
  order: string
  userId: string
  /** `null`: the cross-signing keys. */
  deviceId: string | null
}
export const untoldChangeRows = collection<UntoldChangeRow>({
  name: 'untold-device-changes',
  place: 'home',
  key: 'order',
  indexes: [],
})

/** The newest `stream_id` that was used for one of our users. Absent: 0. */
export type DeviceStreamRow = Row & { userId: string; streamId: number }
export const deviceStreamRows = collection<DeviceStreamRow>({
  name: 'device-streams',
  place: 'home',
  key: 'userId',
  indexes: [],
})

/** The copy of another server's user's device list: this row, and one for each device. */
export type RemoteListRow = Row & {
  userId: string
  /** JSON of the last `stream_id`s that are in the copy, newest last. */
  streamIds: string
  /** It misses something, and is to be fetched anew. */
  isStale: boolean
  /** JSON, or `null`. */
  masterKey: string | null
  selfSigningKey: string | null
  fetchedTs: number
}
export const remoteListRows = collection<RemoteListRow>({
  name: 'remote-device-lists',
  place: 'home',
  key: 'userId',
  indexes: ['fetchedTs'],
})

export type RemoteDeviceRow = Row & {
  id: string
  userId: string
  deviceId: string
  json: string
  displayName: string | null
}
export const remoteDeviceRows = collection<RemoteDeviceRow>({
  name: 'remote-devices',
  place: 'home',
  key: 'id',
  indexes: ['userId'],
})

/** The newest time that `signer` signed keys of `owner`: only the signer's devices hear of it. */
export type SignedUserRow = Row & { id: string; owner: string; bySigner: string }
export const signedUserRows = collection<SignedUserRow>({
  name: 'signed-users',
  place: 'home',
  key: 'id',
  indexes: ['bySigner'],
})

export type ToDeviceRow = Row & { inbox: string; position: number; json: string }
/** `inbox` is `orderKey(rowKey(userId, deviceId), position)`; a device gets at most one message of one commit. */
export const toDeviceRows = collection<ToDeviceRow>({ name: 'to-device', place: 'home', key: 'inbox', indexes: [] })

export type ToDeviceTransactionRow = Row & { id: string; createdTs: number }
export const toDeviceTransactionRows = collection<ToDeviceTransactionRow>({
  name: 'to-device-transactions',
  place: 'home',
  key: 'id',
  indexes: ['createdTs'],
})

/** Messages of other servers that were taken in: `id` is `rowKey(origin, message_id)`. */
export const receivedToDeviceRows = collection<ToDeviceTransactionRow>({
  name: 'received-to-device',
  place: 'home',
  key: 'id',
  indexes: ['createdTs'],
})

export type BackupVersionRow = Row & {
  id: string
  userId: string
  version: number
  algorithm: string
  authData: string
  isDeleted: boolean
  keyCount: number
  etag: number
}
export const backupVersionRows = collection<BackupVersionRow>({
  name: 'key-backup-versions',
  place: 'home',
  key: 'id',
  indexes: ['userId'],
})

export type BackupSessionRow = Row & {
  id: string
  /** `rowKey(userId, version)` */
  backup: string
  /** `rowKey(userId, version, roomId)` */
  room: string
  roomId: string
  sessionId: string
  firstMessageIndex: number
  forwardedCount: number
  isVerified: boolean
  json: string
}
export const backupSessionRows = collection<BackupSessionRow>({
  name: 'key-backup-sessions',
  place: 'home',
  key: 'id',
  indexes: ['backup', 'room'],
})
