import type { CompiledPushRules } from '../protocol/push-rules.ts'
import type { MembershipEntry, RoomEvent, RoomsForReaders, RoomView } from '../rooms/index.ts'
import { orderOfJoin, type Unread } from './counts.ts'
import { findRoom } from './invite-scene.ts'
import { judge, type PushOutcome } from './judge.ts'

const CHUNK = 50

/** Where a page begins: rooms are in the order of the position of what comes next, those with the same in that of their IDs. */
export interface PageStart {
  readonly position: number
  readonly roomId: string
  /** In that room, before this order. */
  readonly before: number
}

export interface FoundNotification {
  readonly event: RoomEvent
  readonly outcome: PushOutcome
  readonly isRead: boolean
}

/** By whose rules, and without whom. */
export interface Judging {
  readonly userId: string
  readonly rules: CompiledPushRules
  readonly hidden: ReadonlySet<string>
}

/** What a user was notified of in one room, newest first, read bit by bit. */
export class NotificationSource implements PageStart {
  readonly roomId: string
  /** Not less than the stream position of what comes next. */
  position: number
  /** What comes next is before this order. */
  before: number
  isAtEnd = false
  readonly #deps: { readonly rooms: RoomsForReaders; readonly unread: Unread }
  readonly #judging: Judging
  readonly #entry: MembershipEntry
  readonly #limit: number
  #found: FoundNotification[] = []
  /** Where to go on when all that was found is taken. */
  #rest: { readonly position: number; readonly before: number } | undefined
  #joinOrder: number | undefined

  constructor(
    deps: { readonly rooms: RoomsForReaders; readonly unread: Unread },
    judging: Judging,
    entry: MembershipEntry,
    start: PageStart | undefined,
  ) {
    this.#deps = deps
    this.#judging = judging
    this.#entry = entry
    this.roomId = entry.roomId
    const isSame = start?.roomId === entry.roomId
    // Of rooms with the same position, those that come first have been told of.
    const isPast = start !== undefined && entry.roomId < start.roomId
    this.#limit = start === undefined ? Number.POSITIVE_INFINITY : start.position - (isPast ? 1 : 0)
    this.before = isSame ? start.before : Number.MAX_SAFE_INTEGER
    const newest = entry.membership === 'invite' ? entry.position : deps.rooms.lastChange(entry.roomId)
    this.position = Math.min(newest, this.#limit)
  }

  get hasLoaded(): boolean {
    return this.#found.length > 0
  }

  take(): FoundNotification {
    const found = this.#found.shift()
    if (!found) throw new Error('nothing is loaded')
    this.#moveOn()
    return found
  }

  /** Looks at the next events. @returns how many */
  async load(): Promise<number> {
    using view = await findRoom(this.#deps.rooms, this.roomId)
    // Of an invite to a room that this server is not in there is no event to be shown.
    if (!view) {
      this.isAtEnd = true
      return 1
    }
    const events = this.#entry.membership === 'invite' ? await this.#invite(view) : await this.#chunk(view)
    const last = events.at(-1)
    const isMore =
      last && this.#entry.membership === 'join' && last.order !== null && last.order > (this.#joinOrder ?? 0) + 1
    this.#rest = isMore ? { position: last.position, before: last.order } : undefined
    const unread = new Set((await this.#deps.unread.eventsOf(this.#judging.userId, view)).map(({ eventId }) => eventId))
    for (const event of events) {
      const outcome = this.#outcomeOf(event, view)
      const isRead = this.#entry.membership === 'join' && !unread.has(event.eventId)
      if (outcome?.notify) this.#found.push({ event, outcome, isRead })
    }
    this.#moveOn()
    return Math.max(1, events.length)
  }

  #moveOn(): void {
    const [next] = this.#found
    if (next) {
      this.position = next.event.position
      this.before = (next.event.order ?? 0) + 1
    } else if (this.#rest) {
      this.position = this.#rest.position
      this.before = this.#rest.before
    } else this.isAtEnd = true
  }

  async #invite(view: RoomView): Promise<readonly RoomEvent[]> {
    const event = this.#entry.position <= this.#limit ? await view.find(this.#entry.eventId) : undefined
    return event?.order == null || event.order >= this.before ? [] : [event]
  }

  async #chunk(view: RoomView): Promise<readonly RoomEvent[]> {
    const member = view.state.get('m.room.member', this.#judging.userId)
    if (!member) return []
    this.#joinOrder ??= await orderOfJoin(view, member)
    const isFromNewest = this.#limit >= view.position
    const end = isFromNewest ? view.latestOrder + 1 : await view.orderAfter(this.#limit)
    const to = Math.min(end, this.before)
    const from = this.#joinOrder + 1
    return to <= from ? [] : view.timeline({ from, to, limit: CHUNK, direction: 'backward' })
  }

  #outcomeOf(event: RoomEvent, view: RoomView): PushOutcome | undefined {
    const { userId, rules, hidden } = this.#judging
    if (event.redactedBecause || event.pdu.sender === userId || hidden.has(event.pdu.sender)) return undefined
    return judge(event, view, { userId, rules })
  }
}
