import type { IdentifiedPdu, JsonObject, Pdu } from '../protocol/pdu.ts'
import type { RoomVersionRules } from '../protocol/room-versions.ts'

/**
 * What slices above (ephemeral, push, sync, search, household) build on: the reading half of the door of `rooms/`.
 */
export type Membership = 'join' | 'invite' | 'knock' | 'leave' | 'ban'

/** An event that this server keeps, as read from its room. Immutable; one object may be shared by many readers. */
export interface RoomEvent extends IdentifiedPdu {
  readonly eventId: string
  readonly roomId: string
  readonly pdu: Pdu
  /**
   * Place in the room's timeline: 1, 2, 3 … as they came; 0, −1, −2 … for what was fetched from before that. Orders are left out
   * below an event before which some are missing, for when they are fetched. `null` for outliers.
   */
  readonly order: number | null
  /** Stream position of the commit that brought it; 0 where it was fetched as history and is news to nobody. */
  readonly position: number
  readonly isSoftFailed: boolean
  readonly isRejected: boolean
  /** For state events: the event that this one took the place of in the state before it. */
  readonly replaces?: { readonly eventId: string; readonly content: JsonObject; readonly sender: string } | undefined
  /** Of another server's user, who joins, leaves or knocks through us: we pass it on to the room's other servers. */
  readonly isRelayed: boolean
  /** The redaction that took its content away; `pdu` is then already the redacted form. */
  readonly redactedBecause?: RoomEvent | undefined
  /** Who sent it from which device and under which transaction ID, or as which delayed event; only for events of our own users. */
  readonly local?:
    | { readonly deviceId: string | null; readonly txnId?: string | undefined; readonly delayId?: string | undefined }
    | undefined
}

/** A user's place in a room as it is now. */
export interface MembershipEntry {
  readonly roomId: string
  readonly userId: string
  readonly membership: Membership
  readonly eventId: string
  /** Who sent the membership event (the inviter, the one who kicked). */
  readonly sender: string
  /** Stream position of the membership event. */
  readonly position: number
  /** The user's membership before this event. */
  readonly previous: Membership | null
  readonly isForgotten: boolean
  /** For invites and knocks: the stripped state that came with them. */
  readonly strippedState?: readonly JsonObject[] | undefined
}

/** The room's state at one point, or now. Lookups are synchronous. */
export interface StateView {
  get(type: string, stateKey?: string): RoomEvent | undefined
  /** By state key. */
  ofType(type: string): ReadonlyMap<string, RoomEvent>
  all(): Iterable<RoomEvent>
  readonly size: number
}

/** What a client may see of whom the room holds. Spec: client-server-api §GET /sync, RoomSummary. */
export interface MemberCounts {
  readonly joined: number
  readonly invited: number
}

/** A room held open for reading. Everything here is as of `position`, a moment that does not move while it is held. */
export interface RoomView extends Disposable {
  readonly roomId: string
  readonly rules: RoomVersionRules
  /** The stream position of the newest change to the room that this view sees. */
  readonly position: number
  /** The order of the newest event in the timeline, 0 in an empty one. */
  readonly latestOrder: number
  /** The oldest order there is, usually 1. */
  readonly earliestOrder: number
  /** The current state. */
  readonly state: StateView
  readonly members: MemberCounts
  /** Joined users. */
  joined(): ReadonlySet<string>
  membershipOf(userId: string): Membership | undefined
  find(eventId: string): Promise<RoomEvent | undefined>
  /**
   * Timeline events with `from <= order < to`, without soft-failed and rejected ones, oldest first if forward.
   * The newest hundred or so are in memory.
   */
  timeline(range: {
    readonly from?: number
    readonly to?: number
    readonly limit: number
    readonly direction: 'forward' | 'backward'
  }): Promise<readonly RoomEvent[]>
  /**
   * The order right behind the newest event that had come by a stream position; the lowest one that has come since where none
   * had. Events of this order or later came after it, or were fetched into a gap before those that did.
   */
  orderAfter(position: number): Promise<number>
  /**
   * The order of the event below which history is missing, being the newest such event of at most this order; `undefined` where
   * the timeline is whole up to there.
   */
  gapBelow(order: number): number | undefined
  /** State after the event at this order; where there is none, before the next one (before all: empty). */
  stateAt(order: number): Promise<StateView>
  /** State events that became current after `from` (stream position, exclusive) and up to this view, the last one for each key. */
  stateChangedSince(from: number): Promise<readonly RoomEvent[]>
  /** May this user read the event? By history visibility and their membership then and since. Spec: client-server-api §History visibility. */
  maySee(userId: string, event: RoomEvent): Promise<boolean>
  /** The same for many events of one stretch, in less work; keeps the order. */
  visibleTo(userId: string, events: readonly RoomEvent[]): Promise<readonly RoomEvent[]>
  /**
   * The event as clients see it, as JSON text: `unsigned` with `age`, `transaction_id` (for the sending device only),
   * `membership` of the viewer at the event, `prev_content`, `replaces_state`, `redacted_because`, and where the viewer asks for
   * it `m.relations`.
   * @param withRoomId false inside `/sync`
   */
  render(event: RoomEvent, viewer: EventViewer): Promise<string>
}

export interface EventViewer {
  readonly userId: string
  readonly deviceId: string | null
  readonly withRoomId: boolean
  /** `federation`-format events where a filter asks for `event_format: federation`. */
  readonly format?: 'client' | 'federation'
  /** With what is known of the event's children. Spec: client-server-api §Aggregations of child events. */
  readonly bundles?: boolean
}

/** Told after the commit, in the order of positions. Listeners never throw and never block; they only mark and wake. */
export interface EventAnnouncement {
  readonly position: number
  readonly event: RoomEvent
  readonly roomId: string
  /** The users whose clients are concerned: joined members now, and the target of a membership event. */
  readonly concerned: Iterable<string>
  /** The servers in the room after it, ours among them, and that of a user whom it takes out of the room (leave, ban). */
  readonly servers: Iterable<string>
}

/** A user who was in a room and is now in the one that took its place. */
export interface Move {
  readonly userId: string
  readonly from: string
  readonly to: string
}

/** What slices above may ask of rooms. */
export interface RoomsForReaders {
  /**
   * All of a user's memberships that are not forgotten, by room ID; for who blocks invites, without these, whenever they came.
   * Kept in memory for users in use.
   */
  memberships(userId: string): Promise<ReadonlyMap<string, MembershipEntry>>
  /**
   * A user's memberships that are forgotten, by room ID, so that their other clients hear of the end. To be read after
   * `memberships`: a room that is forgotten in between is then in both, never in none.
   */
  forgottenMemberships(userId: string): Promise<ReadonlyMap<string, MembershipEntry>>
  findMembership(userId: string, roomId: string): Promise<MembershipEntry | undefined>
  /** Stream position of the last change to the room's timeline or state; 0 for an unknown room. No room is opened. */
  lastChange(roomId: string): number
  /** Joined users of a room that is open or not; from memory. */
  joinedUsers(roomId: string): Promise<ReadonlySet<string>>
  /** Other servers with joined members in a room. No room is opened. */
  serversIn(roomId: string): Promise<ReadonlySet<string>>
  /** Those of them that the room's ACL does not shut out: who may hear of what its users do there besides sending events. */
  serversAllowedIn(roomId: string): Promise<ReadonlySet<string>>
  /** Rooms in which another server has joined members. No room is opened. */
  roomsWithServer(serverName: string): Promise<readonly string[]>
  /** Do they share a room in which both are joined? */
  shareRoom(userId: string, other: string): Promise<boolean>
  /** The rooms in which both are joined. */
  sharedRooms(userId: string, other: string): Promise<readonly string[]>
  /** All users joined to a room in which this user is joined, without themself. */
  usersSharingRoomsWith(userId: string): Promise<ReadonlySet<string>>
  /** @throws MatrixError 404 M_NOT_FOUND for a room this server does not know */
  open(roomId: string): Promise<RoomView>
  /** @returns a function that ends the subscription */
  onEvent(listener: (announcement: EventAnnouncement) => void): () => void
  /** A user forgot a room (`position`), so that their other clients hear of it. */
  onForgotten(listener: (change: { userId: string; roomId: string; position: number }) => void): () => void
}
