/** The collections of `rooms/`, and how events and memberships are written to rows and read back. */
import type { Rejection } from '../protocol/auth-rules/index.ts'
import type { JsonObject } from '../protocol/pdu.ts'
import type { RoomVersionRules } from '../protocol/room-versions.ts'
import { collection } from '../store/index.ts'
import type { Membership, MembershipEntry, RoomEvent } from './contract.ts'
import type { EventFacts, KeptEvent } from './event.ts'
import type { EventLinks } from './relation.ts'

/** What only some events have, together in one field so that the others pay nothing for it. */
interface Marks {
  readonly softFailed?: true
  readonly rejected?: Rejection
  readonly withheld?: true
  readonly purged?: true
  readonly rank?: number
  readonly relayed?: true
  readonly handedOver?: true
  /** Event ID of what a state event took the place of. */
  readonly replaces?: string
  readonly redactedBy?: string
  readonly deviceId?: string | null
  readonly txnId?: string
  readonly delayId?: string
}

export type EventRow = {
  readonly order: number
  readonly eventId: string
  /** `null` for what was backfilled: it is not news to anybody. */
  readonly position: number | null
  readonly groupBefore: number
  readonly groupAfter: number
  /** After this event it was the room's only forward extremity, and the room's state was the state after it. */
  readonly isHead: boolean
  /** JSON of `Marks`, `null` where there are none. */
  readonly marks: string | null
  /** `origin_server_ts`; `null` for rejected and soft-failed events. */
  readonly ts: number | null
  /** The PDU. */
  readonly json: string
} & LinkFields &
  UnseenField

/** `EventLinks`. Rows of events that relate to nothing do not have these fields at all. */
type LinkFields = { readonly [Field in keyof EventLinks]: EventLinks[Field] | null }

/** `origin_server_ts` of rejected and soft-failed events, whose time ends as well; rows of others do not have it at all. */
type UnseenField = { readonly unseenTs: number | null }

/** A room's timeline, rejected and soft-failed events among it. */
export const events = collection<EventRow>({
  name: 'events',
  place: 'room',
  key: 'order',
  indexes: [
    'eventId',
    'position',
    'ts',
    'unseenTs',
    'parent',
    'grandparent',
    'greatGrandparent',
    'relation',
    'relationBySender',
  ],
  segmented: true,
})

export type OutlierRow = {
  readonly eventId: string
  readonly marks: string | null
  readonly json: string
}

/** Events known without their place in the DAG: auth chains, and the state that came with a join. */
export const outliers = collection<OutlierRow>({ name: 'outliers', place: 'room', key: 'eventId', indexes: [] })

export type StateRow = {
  /** `stateSlot`. */
  readonly slot: string
  /** Stream position at which it became current. */
  readonly since: number
  readonly order: number | null
  readonly eventId: string
  readonly position: number | null
  readonly groupBefore: number
  readonly groupAfter: number
  readonly marks: string | null
  /** JSON of the sender and content of what it replaced, as far as they are not redacted. */
  readonly replaced: string | null
  readonly json: string
} & LinkFields

/** The room's state now, complete in itself so that opening a room touches no old segment of its timeline. */
export const currentState = collection<StateRow>({ name: 'current-state', place: 'room', key: 'slot', indexes: [] })

export type StateGroupRow = {
  readonly id: number
  /** The group that this one differs from; `null`: `entries` is all of the state. */
  readonly prev: number | null
  /** How many groups lie between this one and the last complete one, and how many entries those have. */
  readonly deltas: number
  /** JSON: `[slot, eventId | null][]`. */
  readonly entries: string
}
export const stateGroups = collection<StateGroupRow>({ name: 'state-groups', place: 'room', key: 'id', indexes: [] })

export type HeadRow = {
  readonly id: 'head'
  readonly group: number
  /** JSON: `Extremity[]`. */
  readonly extremities: string
}

/** Written only while the room's heads cannot be told from its newest event (`isHead`): while it is forked. */
export const heads = collection<HeadRow>({ name: 'heads', place: 'room', key: 'id', indexes: [] })

export type RankRow = { readonly id: 'latest'; readonly rank: number }

/** The greatest `KeptEvent.rank`; written only where it is not that of the newest event's place. */
export const ranks = collection<RankRow>({ name: 'ranks', place: 'room', key: 'id', indexes: [] })

export type GapRow = {
  readonly top: number
  readonly next: number
  readonly floor: number | null
  /** JSON: event IDs. */
  readonly missing: string
}

/** Where the timeline has holes. See `Gap`. */
export const gaps = collection<GapRow>({ name: 'gaps', place: 'room', key: 'top', indexes: [] })

export type TransactionRow = {
  readonly key: string
  readonly createdTs: number
  readonly eventId: string
}

/** Transaction IDs of our own users' devices, kept for a day. */
export const transactions = collection<TransactionRow>({
  name: 'transactions',
  place: 'room',
  key: 'key',
  indexes: ['createdTs'],
})

export type PendingRedactionRow = {
  /** The redaction that waits. */
  readonly eventId: string
  /** What it is aimed at, which has not come yet. */
  readonly target: string
}
export const pendingRedactions = collection<PendingRedactionRow>({
  name: 'pending-redactions',
  place: 'room',
  key: 'eventId',
  indexes: ['target'],
})

export type WaitingEventRow = {
  readonly eventId: string
  readonly receivedTs: number
  /** The server that sent it. */
  readonly from: string
  readonly json: string
  /** How often what it lacks was asked for in vain, and when that is to be done again. */
  readonly tries: number
  readonly dueTs: number
}

/** Verified events that lack something that they build on. Whoever sent them was told that they are here. */
export const waitingEvents = collection<WaitingEventRow>({
  name: 'waiting-events',
  place: 'room',
  key: 'eventId',
  indexes: ['receivedTs'],
})

export type WaitingRoomRow = { readonly roomId: string }

/** Rooms with waiting events. */
export const waitingRooms = collection<WaitingRoomRow>({
  name: 'rooms-with-waiting-events',
  place: 'home',
  key: 'roomId',
  indexes: [],
})

export type RoomRow = {
  readonly roomId: string
  readonly version: string
  /** Published in the room directory. */
  readonly isPublished: boolean
  /** Users of other servers are joined, or were: `memberships` does not tell all who are in it. */
  readonly hadRemoteMembers: boolean
  /** `INDEX_VERSION` as of when its events were last indexed; rows from before there was one do not have it. */
  readonly indexVersion: number
}

/** Counts up when events are indexed in another way; rooms are then indexed anew as they are opened. */
export const INDEX_VERSION = 1
export const roomIndex = collection<RoomRow>({ name: 'rooms', place: 'home', key: 'roomId', indexes: [] })

export type RoomServerRow = {
  readonly key: string
  readonly roomId: string
  readonly server: string
  /** Order of the event that brought the server; what is before it is not owed to it. */
  readonly since: number
}

/** Other servers that have joined members in a room. */
export const roomServers = collection<RoomServerRow>({
  name: 'room-servers',
  place: 'home',
  key: 'key',
  indexes: ['roomId', 'server'],
})
export const roomServerKey = (roomId: string, server: string): string => `${roomId}\u0000${server}`

export type FarewellRow = {
  readonly key: string
  readonly roomId: string
  readonly server: string
  /** Orders: what is after `since`, up to and with `until`, is owed to the server still. */
  readonly since: number
  readonly until: number
  /** Stream position of the event at `until`. */
  readonly position: number
}

/** What servers are still to hear of rooms that they are not in any more; until it has been delivered. */
export const farewells = collection<FarewellRow>({
  name: 'farewells',
  place: 'home',
  key: 'key',
  indexes: ['server', 'position'],
})

export type RoomChangeRow = {
  readonly roomId: string
  readonly position: number
  /** Stream position of the last event that other servers are to have from us; 0 without any. */
  readonly owed: number
}

/** The stream position of each room's last change. */
export const roomChanges = collection<RoomChangeRow>({
  name: 'room-changes',
  place: 'home',
  key: 'roomId',
  indexes: [],
})

export type MembershipRow = {
  readonly key: string
  readonly userId: string
  readonly roomId: string
  readonly membership: string
  readonly eventId: string
  readonly sender: string
  readonly position: number
  readonly previous: string | null
  readonly isForgotten: boolean
  /** JSON: stripped state events, for invites and knocks. */
  readonly strippedState: string | null
  /** Order of the user's newest `join` event in the room's timeline. */
  readonly joinOrder: number | null
  /** Order of the event by which the user was last out of the room, and the state group after it. */
  readonly leftOrder: number | null
  readonly leftGroup: number | null
}

/** Memberships of our own users. */
export const memberships = collection<MembershipRow>({
  name: 'memberships',
  place: 'home',
  key: 'key',
  indexes: ['userId', 'roomId'],
})
export const membershipKey = (userId: string, roomId: string): string => `${userId}\u0000${roomId}`

export type AliasRow = {
  readonly alias: string
  readonly roomId: string
  readonly creator: string
}
export const aliases = collection<AliasRow>({ name: 'aliases', place: 'home', key: 'alias', indexes: ['roomId'] })

export type PublishedRow = {
  readonly roomId: string
  /** Sorts by joined members, most first. */
  readonly rank: string
  /** JSON of `PublicRoom`. */
  readonly summary: string
  /** Not federated; rows from before other servers could ask do not have it. */
  readonly isClosedToServers: boolean
}

/** What the room directory shows of published rooms. */
export const publishedRooms = collection<PublishedRow>({
  name: 'published-rooms',
  place: 'home',
  key: 'roomId',
  indexes: ['rank'],
})

export type NetworkRoomRow = {
  readonly key: string
  readonly instanceId: string
  readonly roomId: string
}

/** Rooms listed under networks of application services. */
export const networkRooms = collection<NetworkRoomRow>({
  name: 'network-rooms',
  place: 'home',
  key: 'key',
  indexes: ['instanceId'],
})

export type ChoreRow = {
  /** `profile`, `leave` or `guest`, and the user ID. */
  readonly key: string
  readonly kind: string
  readonly userId: string
}

/** Work that goes on after the answer and over restarts: a changed profile, a deactivated user's rooms, rooms that want no guests any more. */
export const chores = collection<ChoreRow>({ name: 'room-chores', place: 'home', key: 'key', indexes: [] })

function marksOf(event: KeptEvent): string | null {
  const marks: Marks = {
    ...(event.isSoftFailed && { softFailed: true }),
    ...(event.rejected && { rejected: event.rejected }),
    ...(event.isWithheld && { withheld: true }),
    ...(event.isPurged && { purged: true }),
    ...(event.rank !== undefined && event.rank !== event.order && { rank: event.rank }),
    ...(event.isRelayed && { relayed: true }),
    ...(event.isHandedOver && { handedOver: true }),
    ...(event.replaces && { replaces: event.replaces.eventId }),
    ...(event.redactedBecause && { redactedBy: event.redactedBecause.eventId }),
    ...(event.local && { ...event.local }),
  }
  for (const _ in marks) return JSON.stringify(marks)
  return null
}

/** @param event one that has a place in the timeline */
export function eventRow(event: KeptEvent, isHead: boolean): EventRow {
  if (event.order === null) throw new Error(`${event.eventId} has no place in the timeline`)
  const isUnseen = event.isSoftFailed || event.isRejected
  return {
    order: event.order,
    eventId: event.eventId,
    position: event.position === 0 ? null : event.position,
    groupBefore: event.groupBefore,
    groupAfter: event.groupAfter,
    isHead,
    marks: marksOf(event),
    ts: isUnseen ? null : Number(event.pdu.origin_server_ts),
    json: event.json,
    ...((isUnseen ? { unseenTs: Number(event.pdu.origin_server_ts) } : {}) as UnseenField),
    ...(event.links as LinkFields),
  }
}

export function outlierRow(event: KeptEvent): OutlierRow {
  return { eventId: event.eventId, marks: marksOf(event), json: event.json }
}

export function stateRow(slot: string, since: number, event: KeptEvent): StateRow {
  return {
    slot,
    since,
    order: event.order,
    eventId: event.eventId,
    position: event.position,
    groupBefore: event.groupBefore,
    groupAfter: event.groupAfter,
    marks: marksOf(event),
    replaced: event.replaces
      ? JSON.stringify({ sender: event.replaces.sender, content: event.replaces.content })
      : null,
    json: event.json,
    ...(event.links as LinkFields),
  }
}

/** An event as read, and the events that it needs besides itself to be complete. */
export interface ReadEvent {
  readonly facts: EventFacts
  readonly replaces: string | undefined
  readonly redactedBy: string | undefined
}

export function readEvent(
  { roomId, rules }: { readonly roomId: string; readonly rules: RoomVersionRules },
  row: EventRow | StateRow | OutlierRow,
): ReadEvent {
  const marks = row.marks === null ? {} : (JSON.parse(row.marks) as Marks)
  const hasPlace = 'order' in row
  return {
    facts: {
      rules,
      eventId: row.eventId,
      roomId,
      json: row.json,
      order: hasPlace ? row.order : null,
      position: hasPlace ? (row.position ?? 0) : 0,
      groupBefore: hasPlace ? row.groupBefore : 0,
      groupAfter: hasPlace ? row.groupAfter : 0,
      isSoftFailed: marks.softFailed ?? false,
      rejected: marks.rejected,
      isWithheld: marks.withheld ?? false,
      isPurged: marks.purged ?? false,
      rank: marks.rank ?? (hasPlace ? (row.order ?? undefined) : undefined),
      isRelayed: marks.relayed ?? false,
      isHandedOver: marks.handedOver ?? false,
      local: localIn(marks),
      links: hasPlace ? linksIn(row) : undefined,
    },
    replaces: marks.replaces,
    redactedBy: marks.redactedBy,
  }
}

function localIn({ deviceId = null, txnId, delayId }: Marks): RoomEvent['local'] {
  if (delayId !== undefined) return { deviceId, delayId }
  return txnId === undefined ? undefined : { deviceId, txnId }
}

function linksIn(row: LinkFields): EventLinks | undefined {
  const { parent, grandparent, greatGrandparent, relation, relationBySender } = row
  // Most rows have none of these fields.
  if (parent == null || relation == null) return undefined
  return { parent, grandparent, greatGrandparent, relation, relationBySender }
}

/** What a row of the current state says of the event that its own one replaced. */
export function replacedIn(row: EventRow | StateRow | OutlierRow, eventId: string): RoomEvent['replaces'] {
  if (!('replaced' in row) || row.replaced === null) return undefined
  const { sender, content } = JSON.parse(row.replaced) as { readonly sender: string; readonly content: JsonObject }
  return { eventId, sender, content }
}

export const replacement = (replaced: RoomEvent): NonNullable<RoomEvent['replaces']> => ({
  eventId: replaced.eventId,
  content: replaced.pdu.content,
  sender: replaced.pdu.sender,
})

export function membershipEntry(row: MembershipRow): MembershipEntry {
  return {
    roomId: row.roomId,
    userId: row.userId,
    membership: row.membership as Membership,
    eventId: row.eventId,
    sender: row.sender,
    position: row.position,
    previous: row.previous as Membership | null,
    isForgotten: row.isForgotten,
    strippedState: row.strippedState === null ? undefined : (JSON.parse(row.strippedState) as readonly JsonObject[]),
  }
}
