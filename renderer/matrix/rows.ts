// The plain snapshots that stores hold and components show. Nothing here is an SDK object, and nothing is ever changed in place.

export interface Person {
  readonly userId: string
  readonly name: string
  /** `mxc:` address, or `null`. */
  readonly avatar: string | null
}

/** Where a file's bytes are, and how to open them when they are encrypted. */
export interface MediaRef {
  readonly mxc: string
  /** `EncryptedFile` of the specification; `null`: the bytes are plain. */
  readonly encryption: EncryptedFile | null
  readonly mime: string
}

/** Spec: client-server-api §Sending encrypted attachments. */
export interface EncryptedFile {
  readonly url: string
  readonly v: string
  readonly iv: string
  readonly key: {
    readonly alg: string
    readonly k: string
    readonly kty: string
    readonly key_ops: readonly string[]
    readonly ext: boolean
  }
  readonly hashes: { readonly sha256: string }
}

export type UndecryptableReason =
  /** The keys have not come yet; they may still. */
  | 'waiting'
  /** Sent before this device was signed in; the recovery key opens it. */
  | 'needsRecovery'
  /** Sent before this device was signed in, and no copy of the keys was ever kept. */
  | 'noBackup'
  /** Sent before this person was in the room. */
  | 'beforeJoining'
  /** The sender's device decided not to share the keys with this one. */
  | 'withheld'
  /** The sender could not be shown to be who they say. */
  | 'untrustedSender'
  | 'unknown'

export type Body =
  | { readonly type: 'text' | 'emote' | 'notice'; readonly text: string; readonly html: string | null }
  | {
      readonly type: 'image'
      readonly media: MediaRef
      readonly thumbnail: MediaRef | null
      readonly name: string
      readonly caption: string | null
      readonly width: number | null
      readonly height: number | null
      readonly blurhash: string | null
      readonly sizeBytes: number | null
    }
  | {
      readonly type: 'file' | 'audio' | 'video'
      readonly media: MediaRef
      readonly name: string
      readonly caption: string | null
      readonly sizeBytes: number | null
      readonly durationMs: number | null
    }
  | { readonly type: 'redacted' }
  | { readonly type: 'undecryptable'; readonly why: UndecryptableReason }
  | { readonly type: 'unsupported'; readonly text: string }

export interface Reaction {
  readonly key: string
  readonly count: number
  /** The event of our own reaction, so that it can be taken back. */
  readonly ownEventId: string | null
  readonly names: readonly string[]
}

export interface Quote {
  readonly eventId: string
  readonly senderName: string
  /** What it said, in one line; `null` while it is not known. */
  readonly text: string | null
}

export type SendState =
  | { readonly is: 'sent' }
  /** Not tried yet, or waiting for the connection. */
  | { readonly is: 'waiting' }
  | { readonly is: 'sending' }
  | { readonly is: 'failed'; readonly why: 'forbidden' | 'tooLarge' | 'unknown' }

export interface MessageRow {
  readonly kind: 'message'
  /** Stays the same from the first echo on: the transaction ID while sending and after, else the event ID. */
  readonly key: string
  readonly eventId: string | null
  readonly ts: number
  readonly sender: Person
  readonly isOwn: boolean
  readonly body: Body
  readonly isEdited: boolean
  readonly isEncrypted: boolean
  readonly replyTo: Quote | null
  readonly reactions: readonly Reaction[]
  readonly send: SendState
  readonly mayRemove: boolean
}

export type Note =
  | { readonly what: 'created' | 'joined' | 'left' | 'rejected' | 'knocked' }
  | {
      readonly what: 'invited' | 'kicked' | 'banned' | 'unbanned' | 'uninvited'
      readonly target: string
      readonly reason: string | null
    }
  | { readonly what: 'renamedSelf'; readonly from: string; readonly to: string }
  | { readonly what: 'newPicture' | 'encryptionOn' | 'roomPicture' | 'upgraded' }
  | { readonly what: 'roomName' | 'topic'; readonly to: string }
  | { readonly what: 'joinRule'; readonly to: 'public' | 'invite' | 'other' }
  | { readonly what: 'historyVisibility'; readonly to: 'shared' | 'invited' | 'joined' | 'world_readable' }

/** Something that happened in the room, told in one line. */
export interface NoteRow {
  readonly kind: 'note'
  readonly key: string
  readonly eventId: string
  readonly ts: number
  readonly actor: Person
  readonly isOwn: boolean
  readonly note: Note
}

export type TimelineRow = MessageRow | NoteRow

export interface TimelineSnapshot {
  /** Oldest first; what is still being sent comes last. */
  readonly rows: readonly TimelineRow[]
  /** Who has read up to a row, by the row's key; never ourselves. */
  readonly readers: ReadonlyMap<string, readonly Person[]>
  readonly hasOlder: boolean
  /** The newest event that we had read when the timeline was opened; `null` where nothing was new. */
  readonly readUpTo: string | null
}

export type Preview =
  | { readonly type: 'text'; readonly senderName: string; readonly isOwn: boolean; readonly text: string }
  | {
      readonly type: 'image' | 'file' | 'audio' | 'video' | 'encrypted' | 'redacted'
      readonly senderName: string
      readonly isOwn: boolean
    }
  | null

export interface RoomRow {
  readonly roomId: string
  readonly name: string
  readonly topic: string
  readonly avatar: string | null
  /** The other person of a direct chat. */
  readonly directWith: string | null
  readonly isEncrypted: boolean
  readonly membership: 'join' | 'invite'
  readonly invitedBy: Person | null
  readonly preview: Preview
  /** Of the newest message, ms since epoch; 0 where there is none. */
  readonly lastTs: number
  readonly unread: number
  readonly highlights: number
  readonly memberCount: number
  readonly mayInvite: boolean
  readonly maySend: boolean
}

export interface MemberRow extends Person {
  readonly membership: 'join' | 'invite'
  readonly role: 'owner' | 'admin' | 'moderator' | 'member'
}

export interface DeviceRow {
  readonly deviceId: string
  readonly name: string
  readonly lastSeenTs: number | null
  readonly isThisOne: boolean
  readonly isTrusted: boolean
}
