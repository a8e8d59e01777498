import { invalidParam, MatrixError, notFound } from '../../shared/matrix/errors.ts'
import type { JsonObject } from '../protocol/pdu.ts'
import { type Op, put, remove, type Store } from '../store/index.ts'
import { type BackupSessionRow, type BackupVersionRow, backupSessionRows, backupVersionRows, rowKey } from './store.ts'

/** How many rows one commit removes when a whole backup goes. */
const REMOVED_AT_ONCE = 1_000

/** Spec: client-server-api, KeyBackupData. */
export interface BackedUpSession {
  readonly first_message_index: number
  readonly forwarded_count: number
  readonly is_verified: boolean
  readonly session_data: JsonObject
}
export interface BackupInfo {
  readonly algorithm: string
  readonly auth_data: JsonObject
  readonly count: number
  readonly etag: string
  readonly version: string
}
/** Sessions by room ID, then by session ID. */
export type Sessions = ReadonlyMap<string, ReadonlyMap<string, BackedUpSession>>
export interface BackupState {
  readonly count: number
  readonly etag: string
}
/** Which sessions a call is about: all, those of a room, or one. */
export interface Scope {
  readonly roomId?: string
  readonly sessionId?: string
}

/** Encrypted copies of room keys, by versions of which only the newest is written to. Spec: §Server-side key backups. */
export class KeyBackup {
  readonly #store: Store

  constructor(store: Store) {
    this.#store = store
  }

  /** Makes a new, empty version, which is then the current one. @returns its version */
  async create(userId: string, algorithm: string, authData: JsonObject): Promise<string> {
    return this.#store.exclusive(lockOf(userId), async () => {
      const versions = await this.#versions(userId)
      for (const row of versions) if (row.isDeleted) await this.#removeSessions(rowKey(userId, String(row.version)))
      const version = Math.max(0, ...versions.map((row) => row.version)) + 1
      await this.#store.commit(() => [
        put(backupVersionRows, {
          id: rowKey(userId, String(version)),
          userId,
          version,
          algorithm,
          authData: JSON.stringify(authData),
          isDeleted: false,
          keyCount: 0,
          etag: 0,
        }),
      ])
      return String(version)
    })
  }

  /** @param version without it, the newest that is not deleted @throws MatrixError 404 M_NOT_FOUND */
  async info(userId: string, version?: string): Promise<BackupInfo> {
    const row = version === undefined ? await this.#current(userId) : await this.#version(userId, version)
    if (!row) throw notFound('There is no such key backup')
    return {
      algorithm: row.algorithm,
      auth_data: JSON.parse(row.authData),
      count: row.keyCount,
      etag: String(row.etag),
      version: String(row.version),
    }
  }

  /** Replaces `auth_data`. @throws MatrixError 400 for another algorithm or version, 404 where there is none */
  async update(
    userId: string,
    version: string,
    change: { readonly algorithm: string; readonly auth_data: JsonObject; readonly version?: string | undefined },
  ): Promise<void> {
    await this.#store.exclusive(lockOf(userId), async () => {
      const row = await this.#version(userId, version)
      if (!row) throw notFound('There is no such key backup')
      if (change.version !== undefined && change.version !== version) {
        throw invalidParam('`version` in the body differs from the one in the path')
      }
      if (change.algorithm !== row.algorithm) throw invalidParam('The algorithm of a backup cannot be changed')
      await this.#store.commit(() => [put(backupVersionRows, { ...row, authData: JSON.stringify(change.auth_data) })])
    })
  }

  /** Removes a version and all its sessions; again is no error. @throws MatrixError 404 for one that never was */
  async remove(userId: string, version: string): Promise<void> {
    await this.#store.exclusive(lockOf(userId), async () => {
      const row = await this.#store.home.get(backupVersionRows, rowKey(userId, version))
      if (!row) throw notFound('There is no such key backup')
      if (!row.isDeleted) {
        await this.#store.commit(() => [
          put(backupVersionRows, { ...row, isDeleted: true, keyCount: 0, authData: '{}' }),
        ])
      }
      await this.#removeSessions(rowKey(userId, version))
    })
  }

  /**
   * Stores sessions; of two keys of one session the better one stays.
   * @throws MatrixError 403 M_WRONG_ROOM_KEYS_VERSION for any version but the newest, 404 where there is no backup
   */
  async store(userId: string, version: string, sessions: Sessions): Promise<BackupState> {
    return this.#store.exclusive(lockOf(userId), async () => {
      const current = await this.#current(userId)
      if (!current) throw notFound('There is no key backup')
      if (String(current.version) !== version) {
        throw new MatrixError('M_WRONG_ROOM_KEYS_VERSION', 403, 'Wrong backup version', {
          current_version: String(current.version),
        })
      }
      const ops: Op[] = []
      let added = 0
      for (const [roomId, ofRoom] of sessions) {
        for (const [sessionId, session] of ofRoom) {
          const id = rowKey(userId, version, roomId, sessionId)
          const existing = await this.#store.home.get(backupSessionRows, id)
          if (existing && !isBetter(session, existing)) continue
          if (!existing) added += 1
          ops.push(
            put(backupSessionRows, {
              id,
              backup: rowKey(userId, version),
              room: rowKey(userId, version, roomId),
              roomId,
              sessionId,
              firstMessageIndex: session.first_message_index,
              forwardedCount: session.forwarded_count,
              isVerified: session.is_verified,
              json: JSON.stringify(session),
            }),
          )
        }
      }
      if (ops.length === 0) return stateOf(current)
      return this.#changeCount(current, added, ops)
    })
  }

  /** @throws MatrixError 404 M_NOT_FOUND where there is no such version */
  async read(userId: string, version: string, scope: Scope): Promise<Sessions> {
    if (!(await this.#version(userId, version))) throw notFound('There is no such key backup')
    const found = new Map<string, Map<string, BackedUpSession>>()
    for (const row of await this.#rows(userId, version, scope)) {
      let ofRoom = found.get(row.roomId)
      if (!ofRoom) {
        ofRoom = new Map()
        found.set(row.roomId, ofRoom)
      }
      ofRoom.set(row.sessionId, JSON.parse(row.json))
    }
    return found
  }

  /** Removes sessions of a version. @throws MatrixError 404 M_NOT_FOUND where there is no such version */
  async removeSessions(userId: string, version: string, scope: Scope): Promise<BackupState> {
    return this.#store.exclusive(lockOf(userId), async () => {
      const row = await this.#version(userId, version)
      if (!row) throw notFound('There is no such key backup')
      const sessions = await this.#rows(userId, version, scope)
      if (sessions.length === 0) return stateOf(row)
      const ops = sessions.map((session) => remove(backupSessionRows, session.id))
      return this.#changeCount(row, -sessions.length, ops)
    })
  }

  async #changeCount(row: BackupVersionRow, added: number, ops: readonly Op[]): Promise<BackupState> {
    const changed: BackupVersionRow = { ...row, keyCount: row.keyCount + added, etag: row.etag + 1 }
    await this.#store.commit(() => [...ops, put(backupVersionRows, changed)])
    return stateOf(changed)
  }

  async #rows(userId: string, version: string, scope: Scope): Promise<readonly BackupSessionRow[]> {
    if (scope.roomId !== undefined && scope.sessionId !== undefined) {
      const row = await this.#store.home.get(backupSessionRows, rowKey(userId, version, scope.roomId, scope.sessionId))
      return row ? [row] : []
    }
    const [index, value] =
      scope.roomId === undefined
        ? (['backup', rowKey(userId, version)] as const)
        : (['room', rowKey(userId, version, scope.roomId)] as const)
    return this.#store.home.range(backupSessionRows, { index, from: value, to: `${value}\u0000` })
  }

  async #removeSessions(backup: string): Promise<void> {
    for (;;) {
      const rows = await this.#store.home.range(backupSessionRows, {
        index: 'backup',
        from: backup,
        to: `${backup}\u0000`,
        limit: REMOVED_AT_ONCE,
      })
      if (rows.length === 0) return
      await this.#store.commit(() => rows.map((row) => remove(backupSessionRows, row.id)))
    }
  }

  async #versions(userId: string): Promise<readonly BackupVersionRow[]> {
    return this.#store.home.range(backupVersionRows, { index: 'userId', from: userId, to: `${userId}\u0000` })
  }

  async #version(userId: string, version: string): Promise<BackupVersionRow | undefined> {
    const row = await this.#store.home.get(backupVersionRows, rowKey(userId, version))
    return row && !row.isDeleted ? row : undefined
  }

  async #current(userId: string): Promise<BackupVersionRow | undefined> {
    let newest: BackupVersionRow | undefined
    for (const row of await this.#versions(userId)) {
      if (!row.isDeleted && row.version > (newest?.version ?? 0)) newest = row
    }
    return newest
  }
}

const lockOf = (userId: string): string => `key-backup ${userId}`
const stateOf = (row: BackupVersionRow): BackupState => ({ count: row.keyCount, etag: String(row.etag) })

/** Verified beats unverified, then the lower first index, then the lower forwarded count. Spec: §Server-side key backups. */
function isBetter(offered: BackedUpSession, kept: BackupSessionRow): boolean {
  if (offered.is_verified !== kept.isVerified) return offered.is_verified
  if (offered.first_message_index !== kept.firstMessageIndex) {
    return offered.first_message_index < kept.firstMessageIndex
  }
  return offered.forwarded_count < kept.forwardedCount
}
