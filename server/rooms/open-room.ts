import type { RoomVersionRules } from '../protocol/room-versions.ts'
import { type Op, put, type RoomLease, remove } from '../store/index.ts'
import { type AggregateChanges, Aggregates, aggregateOps } from './aggregates.ts'
import type { EventAnnouncement } from './contract.ts'
import type { RoomsCore } from './core.ts'
import type { KeptEvent } from './event.ts'
import { EventReader } from './event-reader.ts'
import type { Heads, StateChange } from './heads.ts'
import { type KeptMembership, membershipRow } from './memberships.ts'
import { type PartialState, readPartialState, withPartialServers } from './partial-state.ts'
import { readHeads } from './read-heads.ts'
import type { RecentEvents } from './recent-events.ts'
import { hasOtherServers, isOwed, serversConcerned } from './room-servers.ts'
import { EMPTY_GROUP, StateGroups } from './state-groups.ts'
import type { StateLog } from './state-log.ts'
import { StateMap, stateSlot } from './state-map.ts'
import {
  currentState,
  eventRow,
  events,
  heads as headsCollection,
  INDEX_VERSION,
  type MembershipRow,
  outlierRow,
  outliers,
  pendingRedactions,
  type RoomRow,
  ranks,
  roomChanges,
  stateRow,
} from './store.ts'

/** States of older groups that are kept in memory, so that a busy fork does not read them again and again. */
const MAX_STATES = 8

/** An event that is judged and built into the room's state, but not on disk yet. */
export interface StagedEvent {
  readonly event: KeptEvent
  /** Where the room stands after it; the position is not known yet. */
  readonly heads: Heads
  readonly changes: readonly StateChange[]
  readonly memberships: readonly MembershipChange[]
  /** State groups that it brings. */
  readonly groupIds: readonly number[]
  /** Further writes of the same commit. */
  readonly ops: (position: number) => readonly Op[]
  /** Redacted forms of events that were there before, or are staged before it. */
  readonly redacted: readonly KeptEvent[]
  readonly aggregates: AggregateChanges
  /** It was fetched to fill a gap, and is news to nobody. */
  readonly isHistory?: boolean
}

type ResolvedState = Pick<Heads, 'group' | 'state'>
const groupSet = (groups: readonly number[]): string => [...new Set(groups)].sort((a, b) => a - b).join(' ')

/** A local user's membership as the event makes it; the position is not known yet. */
export type MembershipChange = Omit<KeptMembership, 'position'>

interface Pending {
  readonly staged: StagedEvent
  readonly resolve: (event: KeptEvent) => void
  readonly reject: (error: unknown) => void
}

/**
 * A room held in memory: where it stands, its current state, its newest events.
 *
 * Two places are kept apart. `head` is what the next event builds on, and may be ahead of the disk; `visible` is what
 * readers get, and never is. So the events of many senders build on each other while a commit is being synced, and go
 * into the next commit together. Where a commit fails, all that was built on it fails as well.
 */
export class OpenRoom implements Disposable {
  readonly roomId: string
  readonly rules: RoomVersionRules
  readonly groups: StateGroups
  readonly lease: RoomLease
  readonly reader: EventReader
  readonly recent: RecentEvents
  readonly stateLog: StateLog
  readonly aggregates: Aggregates
  /** Whether the room directory shows it. */
  isPublished: boolean
  /** See `RoomRow`. */
  hadRemoteMembers: boolean
  /** Set while not all of its members are known. */
  partial: PartialState | undefined

  readonly #core: RoomsCore
  #head: Heads
  #visible: Heads
  #staged = new Map<string, KeptEvent>()
  /** Newest membership of our users whose commit is under way. */
  #stagedMemberships = new Map<string, MembershipChange>()
  /** Staged events, by ID. */
  #underWay = new Map<string, Promise<KeptEvent>>()
  #pending: Pending[] = []
  #inFlight: Promise<void> | undefined
  #queue: Promise<unknown> = Promise.resolve()
  #waiting = 0
  #holders = 0
  /** Counts failed commits: work that began before one must not stage anything after it. */
  #generation = 0
  #generationEntered = 0
  #failure: unknown
  /** Events of requests whose commit is under way, by `transactionKey`. */
  readonly transactionsUnderWay = new Map<string, Promise<KeptEvent>>()
  #transactionCount = 0
  /** States of groups that were asked for last. */
  readonly #states = new Map<number, StateMap>()
  /** What sets of groups resolved to, so that a fork costs nothing as long as nobody changes the state. */
  readonly #resolved = new Map<string, ResolvedState>()
  #byId: ReadonlyMap<string, KeptEvent> = new Map()
  #byIdOf: StateMap | undefined
  /** No redaction waits for its event, so that none need be looked for. */
  isWithoutWaitingRedactions: boolean

  private constructor(parts: {
    core: RoomsCore
    lease: RoomLease
    rules: RoomVersionRules
    groups: StateGroups
    reader: EventReader
    recent: RecentEvents
    stateLog: StateLog
    aggregates: Aggregates
    heads: Heads
    partial: PartialState | undefined
    isPublished: boolean
    hadRemoteMembers: boolean
    isWithoutWaitingRedactions: boolean
  }) {
    this.roomId = parts.lease.roomId
    this.rules = parts.rules
    this.groups = parts.groups
    this.lease = parts.lease
    this.reader = parts.reader
    this.recent = parts.recent
    this.stateLog = parts.stateLog
    this.aggregates = parts.aggregates
    this.isPublished = parts.isPublished
    this.hadRemoteMembers = parts.hadRemoteMembers
    this.partial = parts.partial
    this.isWithoutWaitingRedactions = parts.isWithoutWaitingRedactions
    this.#core = parts.core
    this.#head = parts.heads
    this.#visible = parts.heads
  }

  /** @param room whether the room is new, so that nothing is read */
  static async open(
    core: RoomsCore,
    roomId: string,
    room: Pick<RoomRow, 'isPublished' | 'hadRemoteMembers'> & { readonly rules: RoomVersionRules },
  ): Promise<OpenRoom> {
    const lease = await core.store.openRoom(roomId)
    try {
      const reader = new EventReader(lease, { roomId, rules: room.rules })
      const groups = await StateGroups.open(lease, roomId)
      const { heads: known, recent, stateLog } = await readHeads(lease, reader, room.rules)
      const partial = await readPartialState(core.store.home, roomId)
      const heads = withPartialServers(known, partial)
      if (heads.latestOrder !== 0) await groups.prepare(heads.group)
      const isWithoutWaitingRedactions = (await lease.count(pendingRedactions)) === 0
      const aggregates = await Aggregates.open(lease)
      return new OpenRoom({
        core,
        lease,
        groups,
        reader,
        recent,
        stateLog,
        aggregates,
        heads,
        partial,
        isWithoutWaitingRedactions,
        ...room,
      })
    } catch (error) {
      lease[Symbol.dispose]()
      throw error
    }
  }

  /** What the next event builds on. */
  get head(): Heads {
    return this.#head
  }

  /** What is durable. */
  get visible(): Heads {
    return this.#visible
  }

  /** The room as the index of rooms has it. */
  get row(): RoomRow {
    const { roomId, isPublished, hadRemoteMembers } = this
    return { roomId, version: this.rules.version, isPublished, hadRemoteMembers, indexVersion: INDEX_VERSION }
  }

  /** Nobody reads it, nothing is under way: it may be closed. */
  get isIdle(): boolean {
    return this.#holders === 0 && this.#waiting === 0 && !this.#inFlight && this.#pending.length === 0
  }

  /** Keeps it from being closed until the returned function is called. */
  hold(): () => void {
    this.#holders += 1
    let isHeld = true
    return () => {
      if (isHeld) this.#holders -= 1
      isHeld = false
    }
  }

  /**
   * Runs works on the room one after the other. What they stage is committed together as soon as the work is done; wait for
   * it outside. Not re-entrant.
   */
  async enter<T>(work: () => T | Promise<T>): Promise<T> {
    this.#waiting += 1
    const before = this.#queue
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#queue = promise
    await before
    this.#generationEntered = this.#generation
    try {
      return await work()
    } finally {
      this.#waiting -= 1
      this.#flush()
      resolve()
    }
  }

  /**
   * Builds an event into the room's head. Only within `enter`.
   * @returns the event, once it is durable
   */
  stage(staged: StagedEvent): Promise<KeptEvent> {
    if (this.#generation !== this.#generationEntered) throw this.#failure
    const { promise, resolve, reject } = Promise.withResolvers<KeptEvent>()
    // Whoever stages several events may wait for the last one only.
    promise.catch(() => undefined)
    this.#head = staged.heads
    if (staged.redacted.some((event) => event.isState)) this.forgetStates()
    this.#staged.set(staged.event.eventId, staged.event)
    for (const event of staged.redacted) this.#staged.set(event.eventId, event)
    for (const change of staged.memberships) this.#stagedMemberships.set(change.userId, change)
    this.aggregates.stage(staged.aggregates)
    this.#underWay.set(staged.event.eventId, promise)
    this.#pending.push({ staged, resolve, reject })
    return promise
  }

  /** Other gaps are on disk. Only within `enter`, while nothing else is on its way there. */
  replaceGaps(gaps: Heads['gaps']): void {
    this.#head = { ...this.#head, gaps }
    this.#visible = { ...this.#visible, gaps }
  }

  /** Takes back all that is staged and not yet on its way to the disk. Only within `enter`, for a room that is being made. */
  abandon(reason: unknown): void {
    this.#fail([], reason)
  }

  /** An event that the room has, on disk or about to be; an outlier, too. */
  async find(eventId: string): Promise<KeptEvent | undefined> {
    return this.findNow(eventId) ?? (await this.reader.find(eventId))
  }

  /** Events whose commit is under way, in their newest form; what such a commit redacts is among them. */
  staged(): Iterable<KeptEvent> {
    return this.#staged.values()
  }

  /** As `find`, if it is in memory. */
  findNow(eventId: string): KeptEvent | undefined {
    return this.#staged.get(eventId) ?? this.recent.find(eventId)
  }

  /** The state of a group, if it is in memory. */
  stateNow(group: number): StateMap | undefined {
    if (group === EMPTY_GROUP) return StateMap.empty
    if (group === this.#head.group) return this.#head.state
    return this.#states.get(group)
  }

  /** What the states of these groups resolve to, if it was found out lately. */
  resolvedNow(groups: readonly number[]): ResolvedState | undefined {
    return this.#resolved.get(groupSet(groups))
  }

  /** To be called once the event is staged that brings the resolved group. */
  keepResolved(groups: readonly number[], resolved: ResolvedState): void {
    const key = groupSet(groups)
    this.#resolved.delete(key)
    this.#resolved.set(key, resolved)
    if (this.#resolved.size > MAX_STATES) this.#resolved.delete(this.#resolved.keys().next().value ?? '')
  }

  keepState(group: number, state: StateMap): void {
    this.#states.delete(group)
    this.#states.set(group, state)
    if (this.#states.size > MAX_STATES) this.#states.delete(this.#states.keys().next().value ?? EMPTY_GROUP)
  }

  /** Groups have become other states than they were. */
  forgetStates(): void {
    this.#states.clear()
    this.#resolved.clear()
  }

  /** The events of the current state by their ID, as of the head. */
  currentById(): ReadonlyMap<string, KeptEvent> {
    const { state } = this.#head
    if (this.#byIdOf !== state) {
      this.#byId = new Map([...state.all()].map((event) => [event.eventId, event]))
      this.#byIdOf = state
    }
    return this.#byId
  }

  /** A local user's membership as of the head. */
  async membershipAtHead(userId: string): Promise<Omit<KeptMembership, 'position'> | undefined> {
    return this.#stagedMemberships.get(userId) ?? (await this.#core.memberships.find(userId, this.roomId))
  }

  /** An event of the head, once it is durable. */
  async durable(event: KeptEvent): Promise<KeptEvent> {
    return this.#underWay.get(event.eventId) ?? event
  }

  /** True once in so many calls. */
  isTimeToPrune(every: number): boolean {
    this.#transactionCount += 1
    return this.#transactionCount % every === 0
  }

  /** Resolves when all that is staged by now is durable or has failed. Within `enter`, too. */
  async flushed(): Promise<void> {
    while (this.#inFlight) await this.#inFlight
  }

  /** Resolves when nothing of the room is on its way to the disk. */
  async settled(): Promise<void> {
    await this.#queue
    while (this.#inFlight) await this.#inFlight
  }

  [Symbol.dispose](): void {
    this.lease[Symbol.dispose]()
  }

  #flush(): void {
    if (this.#inFlight || this.#pending.length === 0) return
    const batch = this.#pending
    this.#pending = []
    this.#inFlight = this.#commit(batch)
  }

  async #commit(batch: readonly Pending[]): Promise<void> {
    const written: MembershipRow[] = []
    let settle: ReturnType<RoomsCore['announcer']['issue']> | undefined
    let position = 0
    try {
      await this.#core.store.commit((assigned) => {
        position = assigned
        settle = this.#core.announcer.issue(assigned)
        this.#core.changes.set(this.roomId, assigned)
        return this.#opsOf(batch, assigned, written)
      })
    } catch (error) {
      settle?.([])
      this.#fail(batch, error)
      return
    }
    this.#apply(batch, position, written)
    settle?.(this.#announcements(batch, position))
    for (const { staged, resolve } of batch) resolve(staged.event)
    this.#inFlight = undefined
    this.#flush()
  }

  #opsOf(batch: readonly Pending[], position: number, written: MembershipRow[]): readonly Op[] {
    const ops: Op[] = []
    const last = batch.at(-1)
    const { serverName } = this.#core.environment
    let isOwedToOthers = false
    for (const { staged } of batch) {
      const { event, heads, isHistory = false } = staged
      if (!isHistory) {
        event.setPosition(position)
        isOwedToOthers ||= hasOtherServers(heads, serverName) && isOwed(this.#core, event)
      }
      const [sole] = heads.extremities
      const isHead =
        heads.extremities.length === 1 && sole?.eventId === event.eventId && heads.group === event.groupAfter
      if (event.order !== null) ops.push(put(events, eventRow(event, isHead), this.roomId))
      for (const redacted of staged.redacted) {
        // What is redacted before it is on disk gets its position with it.
        const isNew = batch.some((other) => !other.staged.isHistory && other.staged.event.eventId === redacted.eventId)
        if (isNew) redacted.setPosition(position)
        ops.push(
          redacted.order === null
            ? put(outliers, outlierRow(redacted), this.roomId)
            : put(events, eventRow(redacted, false), this.roomId),
        )
      }
      if (staged === last?.staged && !isHead) {
        const extremities = JSON.stringify(heads.extremities)
        ops.push(put(headsCollection, { id: 'head', group: heads.group, extremities }, this.roomId))
      }
      for (const { type, stateKey, after } of staged.changes) {
        const slot = stateSlot(type, stateKey)
        ops.push(
          after
            ? put(currentState, stateRow(slot, position, after), this.roomId)
            : remove(currentState, slot, this.roomId),
        )
      }
      for (const change of staged.memberships) {
        const row = membershipRow({ ...change, position })
        written.push(row)
        ops.push(this.#core.memberships.write(row))
      }
      ops.push(...aggregateOps(staged.aggregates, this.roomId))
      ops.push(...staged.ops(position))
    }
    if (isOwedToOthers) this.#core.owedChanges.set(this.roomId, position)
    const owed = this.#core.owedChanges.get(this.roomId) ?? 0
    ops.push(put(roomChanges, { roomId: this.roomId, position, owed }))
    const { latestRank: rank = 0, latestOrder = 0 } = last?.staged.heads ?? {}
    if (rank > latestOrder && rank > this.#visible.latestRank) {
      ops.push(put(ranks, { id: 'latest', rank }, this.roomId))
    }
    return ops
  }

  #apply(batch: readonly Pending[], position: number, written: readonly MembershipRow[]): void {
    for (const { staged } of batch) {
      const { event } = staged
      for (const redacted of staged.redacted) {
        this.reader.forget(redacted.eventId)
        this.recent.replace(redacted)
        if (redacted.isState) this.forgetStates()
        this.#unstage(redacted)
      }
      // It may have been read when it had no place yet.
      if (event.isState) this.reader.forget(event.eventId)
      if (staged.isHistory) this.recent.insert(event)
      else if (event.order !== null && event.order > 0) this.recent.push(event)
      this.#unstage(event)
      this.#underWay.delete(event.eventId)
      for (const { type, stateKey, after } of staged.changes) this.stateLog.add(position, type, stateKey, after)
      this.groups.settle(staged.groupIds)
      this.aggregates.settle(staged.aggregates)
      for (const change of staged.memberships) {
        if (this.#stagedMemberships.get(change.userId) === change) this.#stagedMemberships.delete(change.userId)
      }
      this.#visible = { ...staged.heads, position }
    }
    for (const row of written) this.#core.memberships.applied(row)
  }

  #unstage(event: KeptEvent): void {
    if (this.#staged.get(event.eventId) === event) this.#staged.delete(event.eventId)
  }

  #announcements(batch: readonly Pending[], position: number): readonly EventAnnouncement[] {
    return batch
      .filter(
        ({ staged }) =>
          !staged.isHistory && !staged.event.isHidden && staged.event.order !== null && staged.event.order > 0,
      )
      .map(({ staged: { event, heads } }) => {
        const target = event.pdu.type === 'm.room.member' ? event.pdu.state_key : undefined
        const concerned =
          target === undefined || heads.joined.has(target) ? heads.joined : new Set([...heads.joined, target])
        return { position, event, roomId: this.roomId, concerned, servers: serversConcerned(event, heads.servers) }
      })
  }

  /** The room goes back to what is on disk; whatever was built on the failed commit fails with it. */
  #fail(batch: readonly Pending[], error: unknown): void {
    const failed = [...batch, ...this.#pending]
    this.#pending = []
    this.#generation += 1
    this.#failure = error
    this.#head = this.#visible
    this.#staged.clear()
    this.#underWay.clear()
    this.#stagedMemberships.clear()
    this.forgetStates()
    this.groups.dropStaged()
    this.aggregates.dropStaged()
    this.#inFlight = undefined
    for (const { reject } of failed) reject(error)
  }
}
