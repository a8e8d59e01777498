/** Messages of the server itself to its users. Spec: client-server-api §Server Notices. */
import { MatrixError, notFound } from '../../shared/matrix/errors.ts'
import type { JsonObject } from '../protocol/pdu.ts'
import { collection, put } from '../store/index.ts'
import type { RoomsCore } from './core.ts'
import { membershipIn } from './event.ts'
import { makeRoom, requireRoomVersion } from './make-room.ts'
import type { OpenRooms } from './open-rooms.ts'
import { initialPowerLevels, PRESETS } from './presets.ts'
import { propose } from './propose.ts'
import { setMembership } from './set-membership.ts'

type NoticeRoomRow = {
  readonly userId: string
  readonly roomId: string
}

/** Each user's one room. */
const noticeRooms = collection<NoticeRoomRow>({ name: 'notice-rooms', place: 'home', key: 'userId', indexes: [] })

/** Who notices come from. No account: nobody can log in as it, and nobody can register it. */
export const noticeSender = (serverName: string): string => `@_server:${serverName}`

const ROOM_NAME = 'Server notices'
const TAG = 'm.server_notice'
/** Nobody but the server sends into the room. */
const SEND_LEVEL = 50

export interface Notice {
  readonly userId: string
  /** Of the `m.room.message`, without its `msgtype`. */
  readonly content: JsonObject & { readonly body: string }
}

/**
 * Sends a notice to a user, whom it invites to their notices room if they are not in it.
 * @returns where and as which event
 * @throws MatrixError 404 M_NOT_FOUND for a user who is not of this server; 403 M_INVITE_BLOCKED
 */
export async function sendNotice(
  core: RoomsCore,
  rooms: OpenRooms,
  { userId, content }: Notice,
): Promise<{ readonly roomId: string; readonly eventId: string }> {
  const account = core.isLocal(userId) ? await core.accounts.findAccount(userId) : undefined
  if (!account || account.isDeactivated) throw notFound('There is no such user here')
  const sender = noticeSender(core.environment.serverName)
  return core.store.exclusive(`rooms notices ${userId}`, async () => {
    const known = await core.store.home.get(noticeRooms, userId)
    const roomId = known?.roomId ?? (await makeNoticeRoom(core, rooms, sender, userId))
    await markAsNotices(core, userId, roomId)
    return rooms.use(roomId, async (room) => {
      const { eventId, durable } = await room.enter(async () => {
        const membership = membershipIn(room.head.state.get('m.room.member', userId))
        if (membership !== 'join' && membership !== 'invite') {
          await setMembership(core, room, { sender, target: userId, membership: 'invite' })
        }
        const message = { ...content, msgtype: 'm.server_notice' }
        return propose(core, room, { type: 'm.room.message', sender, content: message })
      })
      await durable
      return { roomId, eventId }
    })
  })
}

function makeNoticeRoom(core: RoomsCore, rooms: OpenRooms, creator: string, userId: string): Promise<string> {
  const rules = requireRoomVersion(core.config.defaultRoomVersion)
  const preset = PRESETS.private_chat
  return makeRoom(core, rooms, {
    rules,
    creator,
    creatorProfile: { displayname: ROOM_NAME },
    content: { 'm.federate': false },
    isPublished: false,
    ops: (roomId) => [put(noticeRooms, { userId, roomId })],
    async stageRest(room) {
      const set = (type: string, content: JsonObject) =>
        propose(core, room, { type, sender: creator, stateKey: '', content })
      const override = { events_default: SEND_LEVEL, invite: SEND_LEVEL }
      await set('m.room.power_levels', initialPowerLevels({ rules, creator, trusted: [], preset, override }))
      await set('m.room.join_rules', { join_rule: 'invite' })
      await set('m.room.history_visibility', { history_visibility: 'shared' })
      await set('m.room.guest_access', { guest_access: 'forbidden' })
      return set('m.room.name', { name: ROOM_NAME })
    },
  })
}

/** Clients know the room by its tag. */
async function markAsNotices({ accounts }: RoomsCore, userId: string, roomId: string): Promise<void> {
  const type = 'm.tag'
  if (await accounts.findAccountData(userId, roomId, type)) return
  await accounts.setAccountData({ userId, roomId, type, content: { tags: { [TAG]: {} } } })
}

/**
 * The server's messages cannot be turned down before they were seen; whoever has joined may leave.
 * @throws MatrixError 403 M_CANNOT_LEAVE_SERVER_NOTICE_ROOM
 */
export async function requireMayDecline(core: RoomsCore, userId: string, roomId: string): Promise<void> {
  const row = await core.store.home.get(noticeRooms, userId)
  if (row?.roomId !== roomId) return
  if ((await core.memberships.find(userId, roomId))?.membership !== 'invite') return
  throw new MatrixError('M_CANNOT_LEAVE_SERVER_NOTICE_ROOM', 403, 'You cannot reject this invite')
}
