import {
  ClientEvent,
  Direction,
  EventTimeline,
  EventType,
  KnownMembership,
  type MatrixClient,
  type MatrixEvent,
  MatrixEventEvent,
  NotificationCountType,
  type Room,
  RoomEvent,
  RoomStateEvent,
} from 'matrix-js-sdk'
import { isMessageLike, personOf } from './event-rows.ts'
import { isRecord } from './failure.ts'
import { bodyOf, oneLine } from './message-body.ts'
import type { Person, Preview, RoomRow } from './rows.ts'
import { coalesce, createSignal, type Unsubscribe } from './signal.ts'

export interface RoomList {
  /** Joined rooms and invites, newest first. */
  readonly rows: () => readonly RoomRow[]
  readonly onChange: (listener: (rows: readonly RoomRow[]) => void) => Unsubscribe
}

/** Follows the client's rooms; only the rows of rooms that changed are made anew, and at most once a turn. */
export function createRoomList(client: MatrixClient): RoomList & { close: () => void } {
  const cache = new Map<string, RoomRow>()
  const dirty = new Set<string>()
  let sorted: readonly RoomRow[] = []
  const changed = createSignal<readonly RoomRow[]>()

  const build = (): void => {
    const direct = directRoomsOf(client)
    for (const roomId of dirty) {
      const room = client.getRoom(roomId)
      const row = room ? roomRowOf(room, client, direct) : undefined
      if (row) cache.set(roomId, row)
      else cache.delete(roomId)
    }
    dirty.clear()
    sorted = [...cache.values()].sort((a, b) => b.lastTs - a.lastTs || a.name.localeCompare(b.name))
    changed.emit(sorted)
  }
  const work = coalesce(build)
  const touch = (room: Room | undefined): void => {
    if (!room) return
    dirty.add(room.roomId)
    work.mark()
  }
  const touchAll = (): void => {
    for (const room of client.getRooms()) dirty.add(room.roomId)
    work.mark()
  }

  const onRoom = (room: Room): void => touch(room)
  const onTimeline = (_event: MatrixEvent, room: Room | undefined): void => touch(room)
  const onReceipt = (_event: MatrixEvent, room: Room): void => touch(room)
  const onDecrypted = (event: MatrixEvent): void => touch(client.getRoom(event.getRoomId()) ?? undefined)
  const onState = (event: MatrixEvent): void => touch(client.getRoom(event.getRoomId()) ?? undefined)
  const onAccountData = (event: MatrixEvent): void => {
    if (event.getType() === EventType.Direct) touchAll()
  }
  const onDelete = (roomId: string): void => {
    dirty.add(roomId)
    work.mark()
  }
  client.on(ClientEvent.Room, onRoom)
  client.on(ClientEvent.DeleteRoom, onDelete)
  client.on(ClientEvent.AccountData, onAccountData)
  client.on(RoomEvent.Timeline, onTimeline)
  client.on(RoomEvent.Name, onRoom)
  client.on(RoomEvent.MyMembership, onRoom)
  client.on(RoomEvent.Receipt, onReceipt)
  client.on(RoomEvent.Redaction, onTimeline)
  client.on(RoomStateEvent.Events, onState)
  client.on(MatrixEventEvent.Decrypted, onDecrypted)
  const watched = new WeakSet<Room>()
  const watchCounts = (room: Room): void => {
    if (watched.has(room)) return
    watched.add(room)
    room.on(RoomEvent.UnreadNotifications, () => touch(room))
  }
  client.on(ClientEvent.Room, watchCounts)
  for (const room of client.getRooms()) watchCounts(room)
  touchAll()

  return {
    rows: () => sorted,
    onChange: changed.on,
    close: () => {
      work.cancel()
      client.off(ClientEvent.Room, onRoom)
      client.off(ClientEvent.Room, watchCounts)
      client.off(ClientEvent.DeleteRoom, onDelete)
      client.off(ClientEvent.AccountData, onAccountData)
      client.off(RoomEvent.Timeline, onTimeline)
      client.off(RoomEvent.Name, onRoom)
      client.off(RoomEvent.MyMembership, onRoom)
      client.off(RoomEvent.Receipt, onReceipt)
      client.off(RoomEvent.Redaction, onTimeline)
      client.off(RoomStateEvent.Events, onState)
      client.off(MatrixEventEvent.Decrypted, onDecrypted)
    },
  }
}

/** Room → the other person, from `m.direct`. Spec: client-server-api §Direct messaging. */
export function directRoomsOf(client: MatrixClient): ReadonlyMap<string, string> {
  const content: unknown = client.getAccountData(EventType.Direct)?.getContent()
  const byRoom = new Map<string, string>()
  if (!isRecord(content)) return byRoom
  for (const [userId, roomIds] of Object.entries(content)) {
    if (!Array.isArray(roomIds)) continue
    for (const roomId of roomIds) if (typeof roomId === 'string') byRoom.set(roomId, userId)
  }
  return byRoom
}

function roomRowOf(room: Room, client: MatrixClient, direct: ReadonlyMap<string, string>): RoomRow | undefined {
  const membership = room.getMyMembership()
  if (membership !== KnownMembership.Join && membership !== KnownMembership.Invite) return undefined
  if (room.isSpaceRoom()) return undefined
  const ownUserId = client.getSafeUserId()
  const isInvite = membership === KnownMembership.Invite
  const last = isInvite ? undefined : newestMessageOf(room)
  if (last) void client.decryptEventIfNeeded(last)
  const directWith = direct.get(room.roomId) ?? (isInvite ? directInviterOf(room, ownUserId) : null)
  const partner = directWith ? room.getMember(directWith) : null
  const state = room.getLiveTimeline().getState(Direction.Forward)
  return {
    roomId: room.roomId,
    name: room.name,
    topic: topicOf(room),
    avatar: room.getMxcAvatarUrl() ?? partner?.getMxcAvatarUrl() ?? null,
    directWith,
    isEncrypted: room.hasEncryptionStateEvent(),
    membership: isInvite ? 'invite' : 'join',
    invitedBy: isInvite ? inviterOf(room, ownUserId) : null,
    preview: last ? previewOf(last, room, ownUserId) : null,
    lastTs: last?.getTs() ?? membershipTsOf(room, ownUserId),
    unread: room.getUnreadNotificationCount(NotificationCountType.Total),
    highlights: room.getUnreadNotificationCount(NotificationCountType.Highlight),
    memberCount: room.getJoinedMemberCount(),
    mayInvite: !isInvite && room.canInvite(ownUserId),
    maySend: !isInvite && (state?.maySendMessage(ownUserId) ?? false),
  }
}

function newestMessageOf(room: Room): MatrixEvent | undefined {
  const events = room.getLiveTimeline().getEvents()
  // an invitation to look far back would cost each sync; the newest hundred are enough for a line of preview
  for (let at = events.length - 1; at >= Math.max(0, events.length - 100); at--) {
    const event = events[at]
    if (event && isMessageLike(event)) return event
  }
  return undefined
}

function previewOf(event: MatrixEvent, room: Room, ownUserId: string): Preview {
  const senderId = event.getSender() ?? ''
  const base = { senderName: personOf(room.getMember(senderId), senderId).name, isOwn: senderId === ownUserId }
  if (event.isRedacted()) return { type: 'redacted', ...base }
  if (event.isDecryptionFailure() || event.getType() === EventType.RoomMessageEncrypted)
    return { type: 'encrypted', ...base }
  const body = bodyOf(event.getContent())
  if (body.type === 'image' || body.type === 'file' || body.type === 'audio' || body.type === 'video') {
    return body.caption ? { type: 'text', text: oneLine(body.caption), ...base } : { type: body.type, ...base }
  }
  return 'text' in body ? { type: 'text', text: oneLine(body.text), ...base } : { type: 'encrypted', ...base }
}

function topicOf(room: Room): string {
  const state = room.getLiveTimeline().getState(EventTimeline.FORWARDS)
  const topic: unknown = state?.getStateEvents(EventType.RoomTopic, '')?.getContent().topic
  return typeof topic === 'string' ? topic : ''
}

function inviterOf(room: Room, ownUserId: string): Person | null {
  const sender = room.getMember(ownUserId)?.events.member?.getSender()
  return sender ? personOf(room.getMember(sender), sender) : null
}

function directInviterOf(room: Room, ownUserId: string): string | null {
  const invite = room.getMember(ownUserId)?.events.member
  return invite?.getContent().is_direct === true ? (invite.getSender() ?? null) : null
}

function membershipTsOf(room: Room, ownUserId: string): number {
  return room.getMember(ownUserId)?.events.member?.getTs() ?? room.getLastActiveTimestamp()
}
