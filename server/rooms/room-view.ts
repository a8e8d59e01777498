import type { RoomVersionRules } from '../protocol/room-versions.ts'
import type { Range } from '../store/index.ts'
import { bundleText, type Onlooker } from './bundle.ts'
import type { EventViewer, MemberCounts, Membership, RoomEvent, RoomView } from './contract.ts'
import type { RoomsCore } from './core.ts'
import { type KeptEvent, membershipIn } from './event.ts'
import { type Gap, gapBelow } from './gaps.ts'
import type { Heads } from './heads.ts'
import { ignoredBy } from './ignored-users.ts'
import type { OpenRoom } from './open-room.ts'
import { aggregates } from './relation-store.ts'
import { renderEvent } from './render.ts'
import { stateOfGroup } from './resolve.ts'
import { type StateMap, StateMap as States } from './state-map.ts'
import { events } from './store.ts'
import { findInGroup, historyVisibilityIn, Sight } from './visibility.ts'

/** How many rows are read at once when hidden events may be among them. */
const ROWS_PER_READ = 64

/** A room as it is at one moment; what happens later does not change it. */
export class KeptRoomView implements RoomView {
  readonly roomId: string
  readonly rules: RoomVersionRules
  readonly position: number
  readonly latestOrder: number
  readonly earliestOrder: number
  readonly members: MemberCounts
  readonly #core: RoomsCore
  readonly #room: OpenRoom
  readonly #heads: Heads
  readonly #release: () => void
  /** What each user may see, for as long as the view is held. */
  readonly #sights = new Map<string, Sight>()
  readonly #ignored = new Map<string, Promise<ReadonlySet<string>>>()

  constructor(core: RoomsCore, room: OpenRoom) {
    this.#core = core
    this.#room = room
    this.#release = room.hold()
    this.#heads = room.visible
    this.roomId = room.roomId
    this.rules = room.rules
    this.position = this.#heads.position
    this.latestOrder = this.#heads.latestOrder
    this.earliestOrder = this.#heads.earliestOrder
    this.members = { joined: this.#heads.joined.size, invited: this.#heads.invited }
  }

  get state(): StateMap {
    return this.#heads.state
  }

  joined(): ReadonlySet<string> {
    return this.#heads.joined
  }

  membershipOf(userId: string): Membership | undefined {
    return membershipIn(this.#heads.state.get('m.room.member', userId))
  }

  async find(eventId: string): Promise<KeptEvent | undefined> {
    return this.#room.recent.find(eventId) ?? (await this.#room.reader.find(eventId))
  }

  /** Events of the timeline by one of its indexes, hidden and redacted ones too. */
  async findBy(
    index: 'ts' | 'parent' | 'grandparent' | 'greatGrandparent' | 'relation',
    range: Omit<Range, 'index'>,
  ): Promise<readonly KeptEvent[]> {
    return this.#room.reader.completeAll(await this.#room.lease.range(events, { ...range, index }))
  }

  async timeline(range: {
    readonly from?: number
    readonly to?: number
    readonly limit: number
    readonly direction: 'forward' | 'backward'
  }): Promise<readonly KeptEvent[]> {
    const isForward = range.direction === 'forward'
    let from = Math.max(range.from ?? this.earliestOrder, this.earliestOrder)
    let to = Math.min(range.to ?? this.latestOrder + 1, this.latestOrder + 1)
    const found: KeptEvent[] = []
    while (found.length < range.limit && from < to) {
      const limit = Math.max(range.limit - found.length, ROWS_PER_READ)
      const read = await this.#read(from, to, limit, range.direction)
      for (const event of read) if (!event.isHidden && found.length < range.limit) found.push(event)
      const last = read.at(-1)
      if (last?.order == null) break
      if (isForward) from = last.order + 1
      else to = last.order
    }
    return found
  }

  gapBelow(order: number): number | undefined {
    return gapBelow(this.#heads.gaps, order)
  }

  /** Where history is missing, lowest first. */
  get gaps(): readonly Gap[] {
    return this.#heads.gaps
  }

  async orderAfter(position: number): Promise<number> {
    if (position >= this.position) return this.latestOrder + 1
    const recent = this.#room.recent.newestBy(position)
    if (recent?.order != null) return Math.min(recent.order, this.latestOrder) + 1
    const { lease } = this.#room
    const [newest] = await lease.range(events, {
      index: 'position',
      to: position + 1,
      direction: 'backward',
      limit: 1,
    })
    if (newest) return Math.min(newest.order, this.latestOrder) + 1
    const [first] = await lease.range(events, { index: 'position', limit: 1 })
    return Math.min(first?.order ?? 1, this.latestOrder + 1)
  }

  async stateAt(order: number): Promise<StateMap> {
    const at = Math.min(order, this.latestOrder)
    // Where no event is, the state is that before the next one.
    const [event] = await this.#read(Math.max(at, this.earliestOrder), this.latestOrder + 1, 1, 'forward')
    if (!event) return States.empty
    const group = event.order === at ? event.groupAfter : event.groupBefore
    return group === this.#heads.group ? this.#heads.state : stateOfGroup(this.#room, group)
  }

  async stateChangedSince(from: number): Promise<readonly KeptEvent[]> {
    return this.#room.stateLog.changedSince(this.#heads.state, from)
  }

  maySee(userId: string, event: RoomEvent): Promise<boolean> {
    return this.#sightOf(userId).maySee(event as KeptEvent)
  }

  async visibleTo(userId: string, candidates: readonly RoomEvent[]): Promise<readonly KeptEvent[]> {
    const sight = this.#sightOf(userId)
    const visible: KeptEvent[] = []
    for (const event of candidates as readonly KeptEvent[]) if (await sight.maySee(event)) visible.push(event)
    return visible
  }

  /** Whether the event was sent while everybody might read. */
  async isWorldReadable(event: KeptEvent): Promise<boolean> {
    const setting = await findInGroup(this.#room, event.groupAfter, 'm.room.history_visibility', '')
    return historyVisibilityIn(setting) === 'world_readable'
  }

  render(event: RoomEvent, viewer: EventViewer): Promise<string> {
    const kept = event as KeptEvent
    const mayHaveChildren = viewer.bundles === true && !this.#room.aggregates.isEmpty && kept.order !== null
    // State events get no bundled aggregations. Spec: client-server-api §Aggregations of child events.
    if (mayHaveChildren && !kept.isState) return this.#renderWithChildren(kept, viewer)
    return renderEvent(this.#core, this.#room, kept, viewer, this.#sightOf(viewer.userId))
  }

  /** Whom the user ignores; asked for once. */
  ignoredBy(userId: string): Promise<ReadonlySet<string>> {
    const known = this.#ignored.get(userId)
    if (known) return known
    const ignored = ignoredBy(this.#core, userId)
    this.#ignored.set(userId, ignored)
    return ignored
  }

  /** The room with the eyes of whoever looks at events with their children. */
  async onlooker(viewer: EventViewer): Promise<Onlooker> {
    const { userId } = viewer
    const sight = this.#sightOf(userId)
    const { lease, reader } = this.#room
    return {
      lease,
      reader,
      latestOrder: this.latestOrder,
      userId,
      ignored: await this.ignoredBy(userId),
      seesAll: sight.seesAll,
      maySee: (event) => sight.maySee(event),
      render: (event, bundles) => this.render(event, { ...viewer, bundles }),
    }
  }

  [Symbol.dispose](): void {
    this.#release()
  }

  async #renderWithChildren(event: KeptEvent, viewer: EventViewer): Promise<string> {
    const row = await this.#room.lease.get(aggregates, event.eventId)
    const relations = row && (await bundleText(await this.onlooker(viewer), event, row))
    return renderEvent(this.#core, this.#room, event, viewer, this.#sightOf(viewer.userId), relations)
  }

  #sightOf(userId: string): Sight {
    const known = this.#sights.get(userId)
    if (known) return known
    const sight = new Sight(this.#core, this.#room, userId)
    this.#sights.set(userId, sight)
    return sight
  }

  /** Events with `from <= order < to`, hidden ones too, in the direction of travel. Fewer than the limit only at the end. */
  async #read(
    from: number,
    to: number,
    limit: number,
    direction: 'forward' | 'backward',
  ): Promise<readonly KeptEvent[]> {
    const { recent, reader, lease } = this.#room
    const first = recent.firstOrder ?? Number.POSITIVE_INFINITY
    if (from >= first) {
      const inMemory = recent.between(from, to)
      return direction === 'forward' ? inMemory.slice(0, limit) : inMemory.slice(-limit).reverse()
    }
    if (direction === 'backward' && to > first) {
      const newer = await this.#read(first, to, limit, direction)
      return newer.length === limit
        ? newer
        : [...newer, ...(await this.#read(from, first, limit - newer.length, direction))]
    }
    return reader.completeAll(await lease.range(events, { index: 'order', from, to, limit, direction }))
  }
}
