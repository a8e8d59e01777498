import { EventType, type MatrixEvent, RelationType, type Room, type RoomMember } from 'matrix-js-sdk'
import { DecryptionFailureCode } from 'matrix-js-sdk/lib/crypto-api'
import { isRecord } from './failure.ts'
import { bodyOf, oneLine, replyTargetOf, stickerBodyOf } from './message-body.ts'
import type {
  Body,
  MessageRow,
  Note,
  NoteRow,
  Person,
  Quote,
  Reaction,
  TimelineRow,
  UndecryptableReason,
} from './rows.ts'

/** A member as a plain person; a stranger is named by the first part of their address. */
export function personOf(member: RoomMember | null | undefined, userId: string): Person {
  return {
    userId,
    // the SDK says the address where there is no name
    name: member?.name && member.name !== userId ? member.name : plainName(userId),
    avatar: member?.getMxcAvatarUrl() ?? null,
  }
}

/** `anna` of `@anna:home.test`. */
export function plainName(userId: string): string {
  return /^@([^:]+):/.exec(userId)?.[1] ?? userId
}

/** The key that a row keeps: see `MessageRow.key`. */
export function keyOf(event: MatrixEvent): string {
  return event.getUnsigned().transaction_id ?? event.getTxnId() ?? event.getId() ?? ''
}

/**
 * A timeline event as a row, or `undefined` for what is not shown by itself (reactions, edits, redactions, calls).
 * @param quote looks up what an answer answers
 */
export function rowOf(
  event: MatrixEvent,
  room: Room,
  ownUserId: string,
  quote: (eventId: string) => Quote,
): TimelineRow | undefined {
  const eventId = event.getId()
  const senderId = event.getSender()
  if (!eventId || !senderId || event.isRelation(RelationType.Replace)) return undefined
  const sender = personOf(event.sender ?? room.getMember(senderId), senderId)
  if (event.isState()) return noteRowOf(event, eventId, sender, ownUserId)
  const body = bodyOfEvent(event)
  if (!body) return undefined
  const isOwn = senderId === ownUserId
  const target = replyTargetOf(event.getOriginalContent())
  const row: MessageRow = {
    kind: 'message',
    key: keyOf(event),
    eventId,
    ts: event.getTs(),
    sender,
    isOwn,
    body,
    isEdited: event.replacingEventId() !== undefined && body.type !== 'redacted',
    isEncrypted: event.isEncrypted(),
    replyTo: target && body.type !== 'redacted' ? quote(target) : null,
    reactions: body.type === 'redacted' ? [] : reactionsOf(eventId, room, ownUserId),
    send: { is: 'sent' },
    mayRemove: body.type !== 'redacted' && room.currentState.maySendRedactionForEvent(event, ownUserId),
  }
  return row
}

function bodyOfEvent(event: MatrixEvent): Body | undefined {
  const type = event.getType()
  if (event.isRedacted()) {
    const shown: readonly string[] = [EventType.RoomMessage, EventType.RoomMessageEncrypted, EventType.Sticker]
    return shown.includes(type) ? { type: 'redacted' } : undefined
  }
  if (event.isDecryptionFailure()) return { type: 'undecryptable', why: reasonOf(event) }
  if (type === EventType.RoomMessageEncrypted) return { type: 'undecryptable', why: 'waiting' }
  if (type === EventType.RoomMessage) return bodyOf(event.getContent())
  if (type === EventType.Sticker) return stickerBodyOf(event.getContent())
  return undefined
}

function reasonOf(event: MatrixEvent): UndecryptableReason {
  switch (event.decryptionFailureReason) {
    case DecryptionFailureCode.MEGOLM_UNKNOWN_INBOUND_SESSION_ID:
    case DecryptionFailureCode.OLM_UNKNOWN_MESSAGE_INDEX:
      return 'waiting'
    case DecryptionFailureCode.HISTORICAL_MESSAGE_NO_KEY_BACKUP:
      return 'noBackup'
    case DecryptionFailureCode.HISTORICAL_MESSAGE_BACKUP_UNCONFIGURED:
      return 'needsRecovery'
    case DecryptionFailureCode.HISTORICAL_MESSAGE_WORKING_BACKUP:
      return 'waiting'
    case DecryptionFailureCode.HISTORICAL_MESSAGE_USER_NOT_JOINED:
      return 'beforeJoining'
    case DecryptionFailureCode.MEGOLM_KEY_WITHHELD:
    case DecryptionFailureCode.MEGOLM_KEY_WITHHELD_FOR_UNVERIFIED_DEVICE:
      return 'withheld'
    case DecryptionFailureCode.SENDER_IDENTITY_PREVIOUSLY_VERIFIED:
    case DecryptionFailureCode.UNSIGNED_SENDER_DEVICE:
    case DecryptionFailureCode.UNKNOWN_SENDER_DEVICE:
      return 'untrustedSender'
    default:
      return 'unknown'
  }
}

function reactionsOf(eventId: string, room: Room, ownUserId: string): readonly Reaction[] {
  const relations = room.relations.getChildEventsForEvent(eventId, RelationType.Annotation, EventType.Reaction)
  const byKey = relations?.getSortedAnnotationsByKey() ?? []
  return byKey.flatMap(([key, events]) => {
    const live = [...events].filter((event) => !event.isRedacted())
    // one reaction a person, however often their client sent it
    const senders = new Map(live.map((event) => [event.getSender() ?? '', event]))
    if (senders.size === 0) return []
    const own = senders.get(ownUserId)?.getId()
    return [
      {
        key: key.slice(0, 40),
        count: senders.size,
        ownEventId: own?.startsWith('$') ? own : null,
        names: [...senders.keys()].slice(0, 12).map((userId) => personOf(room.getMember(userId), userId).name),
      },
    ]
  })
}

/** What an event said, in one line, for quotes. `null` where it cannot be said. */
export function quoteTextOf(event: MatrixEvent): string | null {
  const body = bodyOfEvent(event)
  if (!body) return null
  switch (body.type) {
    case 'text':
    case 'emote':
    case 'notice':
    case 'unsupported':
      return oneLine(body.text)
    case 'image':
    case 'file':
    case 'audio':
    case 'video':
      return oneLine(body.caption ?? body.name)
    default:
      return null
  }
}

function noteRowOf(event: MatrixEvent, eventId: string, actor: Person, ownUserId: string): NoteRow | undefined {
  const note = noteOf(event)
  if (!note) return undefined
  return { kind: 'note', key: eventId, eventId, ts: event.getTs(), actor, isOwn: actor.userId === ownUserId, note }
}

function noteOf(event: MatrixEvent): Note | undefined {
  const content = event.getContent()
  const before = event.getPrevContent()
  switch (event.getType()) {
    case EventType.RoomCreate:
      return { what: 'created' }
    case EventType.RoomMember:
      return memberNoteOf(event, content, before)
    case EventType.RoomName:
      return { what: 'roomName', to: textOf(content.name) }
    case EventType.RoomTopic:
      return { what: 'topic', to: textOf(content.topic) }
    case EventType.RoomAvatar:
      return { what: 'roomPicture' }
    case EventType.RoomEncryption:
      return before.algorithm ? undefined : { what: 'encryptionOn' }
    case EventType.RoomTombstone:
      return { what: 'upgraded' }
    case EventType.RoomJoinRules: {
      // part of making a room; only a later change is news
      if (!before.join_rule) return undefined
      const rule = content.join_rule
      return { what: 'joinRule', to: rule === 'public' || rule === 'invite' ? rule : 'other' }
    }
    case EventType.RoomHistoryVisibility: {
      const to = content.history_visibility
      if (!before.history_visibility) return undefined
      return to === 'shared' || to === 'invited' || to === 'joined' || to === 'world_readable'
        ? { what: 'historyVisibility', to }
        : undefined
    }
    default:
      return undefined
  }
}

function memberNoteOf(
  event: MatrixEvent,
  content: Readonly<Record<string, unknown>>,
  before: Readonly<Record<string, unknown>>,
): Note | undefined {
  const userId = event.getStateKey() ?? ''
  const isSelf = userId === event.getSender()
  const target = textOf(content.displayname) || textOf(before.displayname) || plainName(userId)
  const reason = textOf(content.reason) || null
  const was = before.membership
  switch (content.membership) {
    case 'join':
      if (was !== 'join') return { what: 'joined' }
      if (content.displayname !== before.displayname) {
        return {
          what: 'renamedSelf',
          from: textOf(before.displayname) || plainName(userId),
          to: textOf(content.displayname) || plainName(userId),
        }
      }
      return content.avatar_url !== before.avatar_url ? { what: 'newPicture' } : undefined
    case 'invite':
      return { what: 'invited', target, reason }
    case 'knock':
      return { what: 'knocked' }
    case 'ban':
      return { what: 'banned', target, reason }
    case 'leave':
      if (isSelf) return { what: was === 'invite' ? 'rejected' : 'left' }
      if (was === 'ban') return { what: 'unbanned', target, reason }
      return { what: was === 'invite' ? 'uninvited' : 'kicked', target, reason }
    default:
      return undefined
  }
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

/** Whether an object is the content of something that a person would call a message. */
export function isMessageLike(event: MatrixEvent): boolean {
  if (event.isState() || event.isRelation(RelationType.Replace)) return false
  const relation = event.getWireContent()['m.relates_to']
  if (isRecord(relation) && relation.rel_type === RelationType.Annotation) return false
  const type = event.getType()
  return type === EventType.RoomMessage || type === EventType.RoomMessageEncrypted || type === EventType.Sticker
}
