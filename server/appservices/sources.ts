/**
 * What is told to application services, and where it comes from: slices above this one, which `app/` passes in. Their doors fit
 * these shapes; only what is used is named.
 */
type Unsubscribe = () => void

/** An event of a room, as `rooms/` keeps it. */
export interface SourceEvent {
  readonly eventId: string
  readonly roomId: string
  readonly order: number | null
  readonly position: number
  readonly pdu: {
    readonly type: string
    readonly sender: string
    readonly state_key?: string | undefined
    readonly content: { readonly [key: string]: unknown }
  }
}

export interface SourceRoom<E extends SourceEvent = SourceEvent> extends Disposable {
  readonly roomId: string
  joined(): ReadonlySet<string>
  timeline(range: {
    readonly from?: number
    readonly limit: number
    readonly direction: 'forward'
  }): Promise<readonly E[]>
  orderAfter(position: number): Promise<number>
  find(eventId: string): Promise<E | undefined>
  stateAt(order: number): Promise<{
    get(type: string, stateKey: string): SourceEvent | undefined
    ofType(type: string): ReadonlyMap<string, SourceEvent>
  }>
  render(
    event: E,
    viewer: { readonly userId: string; readonly deviceId: null; readonly withRoomId: true },
  ): Promise<string>
}

export interface SourceInvite {
  readonly userId: string
  readonly sender: string
  readonly eventId: string
  readonly position: number
  readonly origin_server_ts: number
  /** What may be known of the room; the invite is the last of it. */
  readonly strippedState?: readonly { readonly [key: string]: unknown }[] | undefined
}

export interface RoomSource {
  changedSince(position: number): readonly string[]
  lastChange(roomId: string): number
  joinedUsers(roomId: string): Promise<ReadonlySet<string>>
  memberships(userId: string): Promise<ReadonlyMap<string, { readonly membership: string }>>
  findMembership(
    userId: string,
    roomId: string,
  ): Promise<{ readonly eventId: string; readonly strippedState?: readonly object[] | undefined } | undefined>
  aliasesOf(roomId: string): Promise<readonly string[]>
  /** Invites of our users to a room that this server is not in: no event of a room tells of them. */
  invitesElsewhere(roomId: string): Promise<readonly SourceInvite[]>
  /** Such rooms in which something of that kind happened after a stream position. */
  elsewhereSince(position: number): Promise<readonly string[]>
  open(roomId: string): Promise<SourceRoom>
  onEvent(listener: (announcement: { readonly roomId: string }) => void): Unsubscribe
}

export interface KeySource {
  toDeviceSince(
    device: { userId: string; deviceId: string },
    since: number,
    upTo: number,
    limit: number,
  ): Promise<readonly { readonly position: number; readonly json: string }[]>
  acknowledgeToDevice(device: { userId: string; deviceId: string }, upTo: number): Promise<void>
  inboxesInUse(): Promise<readonly { readonly userId: string; readonly deviceId: string }[]>
  usersWithChangedDevices(since: number, upTo: number): Promise<ReadonlySet<string>>
  oneTimeKeyCounts(userId: string, deviceId: string): Promise<Readonly<Record<string, number>>>
  unusedFallbackKeyTypes(userId: string, deviceId: string): Promise<readonly string[]>
  onToDevice(listener: (message: { userId: string; deviceId: string }) => void): Unsubscribe
  onDeviceListChanged(listener: (change: { userId: string }) => void): Unsubscribe
}

export interface SourceReceipt {
  readonly roomId: string
  readonly userId: string
  readonly type: 'm.read' | 'm.read.private'
  readonly threadId: string | null
  readonly eventId: string
  readonly ts: number
  readonly position: number
}

export interface EphemeralSource {
  readonly typing: {
    inRoom(roomId: string): readonly string[]
    onChange(listener: (change: { readonly roomId: string; readonly isRefresh: boolean }) => void): Unsubscribe
  }
  readonly receipts: {
    changesSince(since: number, limit: number): Promise<readonly SourceReceipt[]>
    onChange(listener: (change: SourceReceipt) => void): Unsubscribe
  }
  readonly presence: {
    contentOf(userId: string): object | undefined
    onChange(listener: (change: { readonly userId: string }) => void): Unsubscribe
  }
}

export interface Sources {
  readonly rooms: RoomSource
  readonly keys: KeySource
  readonly ephemeral: EphemeralSource
}
