import {
  deleteRoomKeyBySessionId,
  deleteRoomKeys,
  deleteRoomKeysByRoomId,
  deleteRoomKeysVersion,
  getRoomKeyBySessionId,
  getRoomKeys,
  getRoomKeysByRoomId,
  getRoomKeysVersion,
  getRoomKeysVersionCurrent,
  postRoomKeysVersion,
  putRoomKeyBySessionId,
  putRoomKeys,
  putRoomKeysByRoomId,
  putRoomKeysVersion,
} from '../../../shared/api/client/key_backup.ts'
import { notFound } from '../../../shared/matrix/errors.ts'
import type { BackedUpSession, E2ee } from '../../e2ee/index.ts'
import { type Route, route } from '../../http/route.ts'

type RoomSessions = { readonly sessions: Readonly<Record<string, BackedUpSession>> }

const ofRoom = (room: RoomSessions): ReadonlyMap<string, BackedUpSession> => new Map(Object.entries(room.sessions))
const roomReply = (sessions: ReadonlyMap<string, BackedUpSession> | undefined): RoomSessions => ({
  sessions: Object.fromEntries(sessions ?? []),
})

export const keyBackupRoutes = ({ backup }: Pick<E2ee, 'backup'>): readonly Route[] => [
  route(postRoomKeysVersion, async ({ body, requester }) => ({
    version: await backup.create(requester.userId, body.algorithm, body.auth_data),
  })),
  route(getRoomKeysVersionCurrent, ({ requester }) => backup.info(requester.userId)),
  route(getRoomKeysVersion, ({ path, requester }) => backup.info(requester.userId, path.version)),
  route(putRoomKeysVersion, async ({ path, body, requester }) => {
    await backup.update(requester.userId, path.version, body)
    return {}
  }),
  route(deleteRoomKeysVersion, async ({ path, requester }) => {
    await backup.remove(requester.userId, path.version)
    return {}
  }),

  route(putRoomKeyBySessionId, ({ path, query, body, requester }) =>
    backup.store(requester.userId, query.version, new Map([[path.roomId, new Map([[path.sessionId, body]])]])),
  ),
  route(putRoomKeysByRoomId, ({ path, query, body, requester }) =>
    backup.store(requester.userId, query.version, new Map([[path.roomId, ofRoom(body)]])),
  ),
  route(putRoomKeys, ({ query, body, requester }) =>
    backup.store(
      requester.userId,
      query.version,
      new Map(Object.entries(body.rooms).map(([roomId, room]) => [roomId, ofRoom(room)])),
    ),
  ),

  route(getRoomKeyBySessionId, async ({ path, query, requester }) => {
    const found = await backup.read(requester.userId, query.version, path)
    const session = found.get(path.roomId)?.get(path.sessionId)
    if (!session) throw notFound('There is no such key in the backup')
    return session
  }),
  route(getRoomKeysByRoomId, async ({ path, query, requester }) =>
    roomReply((await backup.read(requester.userId, query.version, path)).get(path.roomId)),
  ),
  route(getRoomKeys, async ({ query, requester }) => {
    const found = await backup.read(requester.userId, query.version, {})
    return { rooms: Object.fromEntries([...found].map(([roomId, sessions]) => [roomId, roomReply(sessions)])) }
  }),

  route(deleteRoomKeyBySessionId, ({ path, query, requester }) =>
    backup.removeSessions(requester.userId, query.version, path),
  ),
  route(deleteRoomKeysByRoomId, ({ path, query, requester }) =>
    backup.removeSessions(requester.userId, query.version, path),
  ),
  route(deleteRoomKeys, ({ query, requester }) => backup.removeSessions(requester.userId, query.version, {})),
]
