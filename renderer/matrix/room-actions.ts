import { EventType, type ICreateRoomOpts, KnownMembership, type MatrixClient, Preset, Visibility } from 'matrix-js-sdk'
import { personOf } from './event-rows.ts'
import { failureOf, isRecord } from './failure.ts'
import { directRoomsOf } from './room-list.ts'
import type { MemberRow } from './rows.ts'
import { getRoom } from './timeline.ts'

export interface NewRoom {
  readonly name: string
  readonly topic?: string
  /** A public room can be found and joined by anyone at home and is not encrypted. */
  readonly isPublic: boolean
  readonly invite?: readonly string[]
}

export interface RoomActions {
  /** Answers the new room's ID, once the room has arrived. */
  readonly create: (room: NewRoom) => Promise<string>
  /** Opens the chat with one person: the one there is, or a new encrypted one. */
  readonly openDirect: (userId: string) => Promise<string>
  readonly invite: (roomId: string, userId: string) => Promise<void>
  readonly accept: (roomId: string) => Promise<void>
  readonly leave: (roomId: string) => Promise<void>
  readonly rename: (roomId: string, name: string) => Promise<void>
  readonly removeEvent: (roomId: string, eventId: string) => Promise<void>
  readonly setTyping: (roomId: string, isTyping: boolean) => Promise<void>
  /** Everybody in the room and everybody invited, the most powerful first. */
  readonly listMembers: (roomId: string) => Promise<readonly MemberRow[]>
  /** People whose name or address matches, as the server's directory knows them; at most ten. */
  readonly findPeople: (typed: string) => Promise<readonly { userId: string; name: string; avatar: string | null }[]>
}

const ENCRYPTION = { type: 'm.room.encryption', state_key: '', content: { algorithm: 'm.megolm.v1.aes-sha2' } }

/** What a person can do with rooms. Every action throws a `Failure`. */
export function createRoomActions(client: MatrixClient, roomArrives: (roomId: string) => Promise<void>): RoomActions {
  const guarded = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work()
    } catch (error) {
      throw failureOf(error)
    }
  }

  const createWith = async (options: ICreateRoomOpts): Promise<string> => {
    const { room_id } = await client.createRoom(options)
    await roomArrives(room_id)
    return room_id
  }

  const markDirect = async (roomId: string, userId: string): Promise<void> => {
    const content: unknown = client.getAccountData(EventType.Direct)?.getContent()
    const before = isRecord(content) ? content : {}
    const known = Array.isArray(before[userId])
      ? before[userId].filter((id): id is string => typeof id === 'string')
      : []
    if (known.includes(roomId)) return
    await client.setAccountData(EventType.Direct, { ...before, [userId]: [roomId, ...known] } as never)
  }

  return {
    create: ({ name, topic, isPublic, invite }) =>
      guarded(() =>
        createWith({
          name: name.trim(),
          ...(topic?.trim() ? { topic: topic.trim() } : {}),
          preset: isPublic ? Preset.PublicChat : Preset.PrivateChat,
          visibility: isPublic ? Visibility.Public : Visibility.Private,
          invite: [...(invite ?? [])],
          initial_state: isPublic ? [] : [ENCRYPTION],
        }),
      ),
    openDirect: (userId) =>
      guarded(async () => {
        for (const [roomId, partner] of directRoomsOf(client)) {
          const room = partner === userId ? client.getRoom(roomId) : null
          const theirs = room?.getMember(userId)?.membership
          if (
            room?.getMyMembership() === KnownMembership.Join &&
            (theirs === KnownMembership.Join || theirs === KnownMembership.Invite)
          ) {
            return roomId
          }
        }
        const roomId = await createWith({
          preset: Preset.TrustedPrivateChat,
          visibility: Visibility.Private,
          is_direct: true,
          invite: [userId],
          initial_state: [ENCRYPTION],
        })
        await markDirect(roomId, userId)
        return roomId
      }),
    invite: (roomId, userId) => guarded(async () => void (await client.invite(roomId, userId))),
    accept: (roomId) =>
      guarded(async () => {
        const ownMember = client.getRoom(roomId)?.getMember(client.getSafeUserId())
        const invite = ownMember?.events.member
        const inviter = invite?.getContent().is_direct === true ? invite.getSender() : undefined
        await client.joinRoom(roomId)
        await roomArrives(roomId)
        if (inviter) await markDirect(roomId, inviter)
      }),
    leave: (roomId) => guarded(async () => void (await client.leave(roomId))),
    rename: (roomId, name) => guarded(async () => void (await client.setRoomName(roomId, name.trim()))),
    removeEvent: (roomId, eventId) => guarded(async () => void (await client.redactEvent(roomId, eventId))),
    setTyping: (roomId, isTyping) => guarded(async () => void (await client.sendTyping(roomId, isTyping, 20_000))),
    listMembers: (roomId) =>
      guarded(async () => {
        const room = getRoom(client, roomId)
        await room.loadMembersIfNeeded()
        const rank = { owner: 3, admin: 2, moderator: 1, member: 0 }
        return room
          .getMembers()
          .flatMap((member): MemberRow[] => {
            if (member.membership !== KnownMembership.Join && member.membership !== KnownMembership.Invite) return []
            return [
              {
                ...personOf(member, member.userId),
                membership: member.membership === KnownMembership.Join ? 'join' : 'invite',
                role: roleOf(member.powerLevel),
              },
            ]
          })
          .sort((a, b) => rank[b.role] - rank[a.role] || a.name.localeCompare(b.name))
      }),
    findPeople: (typed) =>
      guarded(async () => {
        const { results } = await client.searchUserDirectory({ term: typed, limit: 10 })
        return results.map((found) => ({
          userId: found.user_id,
          name: found.display_name ?? found.user_id,
          avatar: found.avatar_url ?? null,
        }))
      }),
  }
}

function roleOf(power: number): MemberRow['role'] {
  if (power > 100) return 'owner'
  if (power === 100) return 'admin'
  return power >= 50 ? 'moderator' : 'member'
}
