/** Server-side key backup. Spec: data/api/client-server/key_backup.yaml. */
import { Type } from 'typebox'
import { AnyObject } from '../../matrix/json.ts'
import { RoomId } from '../../matrix/schemas.ts'
import { endpoint } from '../endpoint.ts'

/** A backup of a whole account fits: 16 MiB are about 20,000 sessions in one request. */
const MAX_BACKUP_BODY_BYTES = 16 * 1024 * 1024

const none = Type.Object({})
const VersionPath = Type.Object({ version: Type.String({ minLength: 1, maxLength: 64 }) })
const VersionQuery = Type.Object({ version: Type.String({ minLength: 1, maxLength: 64 }) })
const RoomPath = Type.Object({ roomId: RoomId })
const SessionPath = Type.Object({ roomId: RoomId, sessionId: Type.String({ minLength: 1, maxLength: 255 }) })
const Algorithm = Type.String({ minLength: 1, maxLength: 255 })

const KeyBackupData = Type.Object({
  first_message_index: Type.Integer({ minimum: 0 }),
  forwarded_count: Type.Integer({ minimum: 0 }),
  is_verified: Type.Boolean(),
  session_data: AnyObject,
})
const RoomKeyBackup = Type.Object({ sessions: Type.Record(Type.String(), KeyBackupData) })
const AllKeys = Type.Object({ rooms: Type.Record(Type.String(), RoomKeyBackup) })
const BackupState = Type.Object({ etag: Type.String(), count: Type.Integer() })
const BackupInfo = Type.Object({
  algorithm: Type.String(),
  auth_data: AnyObject,
  count: Type.Integer(),
  etag: Type.String(),
  version: Type.String(),
})
const notFound = { M_NOT_FOUND: 404 } as const
const wrongVersion = { M_WRONG_ROOM_KEYS_VERSION: 403, M_NOT_FOUND: 404 } as const
const common = { auth: 'accessToken', rateLimited: true } as const

export const postRoomKeysVersion = endpoint({
  ...common,
  operationId: 'postRoomKeysVersion',
  method: 'POST',
  url: '/_matrix/client/v3/room_keys/version',
  path: none,
  query: none,
  body: Type.Object({ algorithm: Algorithm, auth_data: AnyObject }),
  reply: Type.Object({ version: Type.String() }),
  errors: {},
})

export const getRoomKeysVersionCurrent = endpoint({
  ...common,
  operationId: 'getRoomKeysVersionCurrent',
  method: 'GET',
  url: '/_matrix/client/v3/room_keys/version',
  path: none,
  query: none,
  body: null,
  reply: BackupInfo,
  errors: notFound,
})

export const getRoomKeysVersion = endpoint({
  ...common,
  operationId: 'getRoomKeysVersion',
  method: 'GET',
  url: '/_matrix/client/v3/room_keys/version/{version}',
  path: VersionPath,
  query: none,
  body: null,
  reply: BackupInfo,
  errors: notFound,
})

export const putRoomKeysVersion = endpoint({
  ...common,
  operationId: 'putRoomKeysVersion',
  method: 'PUT',
  url: '/_matrix/client/v3/room_keys/version/{version}',
  path: VersionPath,
  query: none,
  body: Type.Object({
    algorithm: Algorithm,
    auth_data: AnyObject,
    version: Type.Optional(Type.String()),
  }),
  reply: none,
  errors: { M_INVALID_PARAM: 400, M_NOT_FOUND: 404 },
})

export const deleteRoomKeysVersion = endpoint({
  ...common,
  operationId: 'deleteRoomKeysVersion',
  method: 'DELETE',
  url: '/_matrix/client/v3/room_keys/version/{version}',
  path: VersionPath,
  query: none,
  body: null,
  reply: none,
  errors: notFound,
})

export const putRoomKeyBySessionId = endpoint({
  ...common,
  operationId: 'putRoomKeyBySessionId',
  method: 'PUT',
  url: '/_matrix/client/v3/room_keys/keys/{roomId}/{sessionId}',
  path: SessionPath,
  query: VersionQuery,
  body: KeyBackupData,
  reply: BackupState,
  errors: wrongVersion,
})

export const getRoomKeyBySessionId = endpoint({
  ...common,
  operationId: 'getRoomKeyBySessionId',
  method: 'GET',
  url: '/_matrix/client/v3/room_keys/keys/{roomId}/{sessionId}',
  path: SessionPath,
  query: VersionQuery,
  body: null,
  reply: KeyBackupData,
  errors: notFound,
})

export const deleteRoomKeyBySessionId = endpoint({
  ...common,
  operationId: 'deleteRoomKeyBySessionId',
  method: 'DELETE',
  url: '/_matrix/client/v3/room_keys/keys/{roomId}/{sessionId}',
  path: SessionPath,
  query: VersionQuery,
  body: null,
  reply: BackupState,
  errors: notFound,
})

export const putRoomKeysByRoomId = endpoint({
  ...common,
  operationId: 'putRoomKeysByRoomId',
  method: 'PUT',
  url: '/_matrix/client/v3/room_keys/keys/{roomId}',
  path: RoomPath,
  query: VersionQuery,
  body: RoomKeyBackup,
  reply: BackupState,
  errors: wrongVersion,
  maxBodyBytes: MAX_BACKUP_BODY_BYTES,
})

export const getRoomKeysByRoomId = endpoint({
  ...common,
  operationId: 'getRoomKeysByRoomId',
  method: 'GET',
  url: '/_matrix/client/v3/room_keys/keys/{roomId}',
  path: RoomPath,
  query: VersionQuery,
  body: null,
  reply: RoomKeyBackup,
  errors: notFound,
})

export const deleteRoomKeysByRoomId = endpoint({
  ...common,
  operationId: 'deleteRoomKeysByRoomId',
  method: 'DELETE',
  url: '/_matrix/client/v3/room_keys/keys/{roomId}',
  path: RoomPath,
  query: VersionQuery,
  body: null,
  reply: BackupState,
  errors: notFound,
})

export const putRoomKeys = endpoint({
  ...common,
  operationId: 'putRoomKeys',
  method: 'PUT',
  url: '/_matrix/client/v3/room_keys/keys',
  path: none,
  query: VersionQuery,
  body: AllKeys,
  reply: BackupState,
  errors: wrongVersion,
  maxBodyBytes: MAX_BACKUP_BODY_BYTES,
})

export const getRoomKeys = endpoint({
  ...common,
  operationId: 'getRoomKeys',
  method: 'GET',
  url: '/_matrix/client/v3/room_keys/keys',
  path: none,
  query: VersionQuery,
  body: null,
  reply: AllKeys,
  errors: notFound,
})

export const deleteRoomKeys = endpoint({
  ...common,
  operationId: 'deleteRoomKeys',
  method: 'DELETE',
  url: '/_matrix/client/v3/room_keys/keys',
  path: none,
  query: VersionQuery,
  body: null,
  reply: BackupState,
  errors: notFound,
})
