import type { Appservice } from './appservice.ts'
import type { RoomSource, SourceEvent, SourceRoom } from './sources.ts'

/** An event that an application service is to get, and as whom of its users. */
export interface Pick {
  readonly event: SourceEvent
  readonly viewer: string
  /** As it is told, where it is no event of a room that this server has. */
  readonly json?: string
}

/** What one application service is interested in. Spec: application-service-api §Registration, `namespaces`. */
export class Interest {
  readonly #service: Appservice
  readonly #rooms: RoomSource
  /** Sets of joined users are replaced and not changed, so each is looked through once. */
  readonly #own = new WeakMap<ReadonlySet<string>, readonly string[]>()

  constructor(service: Appservice, rooms: RoomSource) {
    this.#service = service
    this.#rooms = rooms
  }

  /** Its own users among these. */
  ownOf(joined: ReadonlySet<string>): readonly string[] {
    let own = this.#own.get(joined)
    if (!own) {
      own = [...joined].filter((userId) => this.#service.ownsUser(userId))
      this.#own.set(joined, own)
    }
    return own
  }

  async #hasRoom(roomId: string): Promise<boolean> {
    if (this.#service.ownsRoom(roomId)) return true
    if (!this.#service.hasAliases) return false
    return (await this.#rooms.aliasesOf(roomId)).some((alias) => this.#service.ownsAlias(alias))
  }

  /** Whether it is interested in what happens in the room now. */
  async inRoom(roomId: string): Promise<boolean> {
    if (await this.#hasRoom(roomId)) return true
    return this.ownOf(await this.#rooms.joinedUsers(roomId)).length > 0
  }

  /** Whether it may know of what concerns a user in no room in particular. */
  async inUser(userId: string): Promise<boolean> {
    if (this.#service.ownsUser(userId)) return true
    for (const [roomId, { membership }] of await this.#rooms.memberships(userId)) {
      if (membership === 'join' && (await this.inRoom(roomId))) return true
    }
    return false
  }

  /**
   * Which of these events it gets: those of rooms that are its own, and those at which one of its users was joined, or whose
   * sender or target is one.
   * @param events a stretch of the timeline, in its order
   * @param isUpToNow whether it goes on to the newest event that the view has
   */
  async among(view: SourceRoom, events: readonly SourceEvent[], isUpToNow: boolean): Promise<readonly Pick[]> {
    const isItsRoom = await this.#hasRoom(view.roomId)
    const joined = this.ownOf(view.joined())
    const targets = new Set(
      events.map(targetOf).filter((userId) => userId !== undefined && this.#service.ownsUser(userId)),
    )
    const bot = this.#service.userId
    if (targets.size === 0 && isUpToNow) {
      const [viewer] = joined
      return isItsRoom || viewer !== undefined ? events.map((event) => ({ event, viewer: viewer ?? bot })) : []
    }
    const picks: Pick[] = []
    const [first] = events
    // Who is in the room now may not have been then, and the other way round.
    const before = first && !isUpToNow ? await this.#membersAt(view, first) : []
    const candidates = [...new Set([...targets, ...joined, ...before])] as readonly string[]
    let present: string | undefined
    let isStale = true
    for (const event of events) {
      const target = targetOf(event)
      if (isStale || event.pdu.state_key !== undefined) present = await presentAt(view, event, candidates)
      isStale = false
      if (target !== undefined && targets.has(target)) picks.push({ event, viewer: present ?? target })
      else if (present !== undefined || isItsRoom || this.#service.ownsUser(event.pdu.sender)) {
        picks.push({ event, viewer: present ?? bot })
      }
    }
    return picks
  }

  /** Its own users who have had to do with the room. */
  async #membersAt(view: SourceRoom, { order }: SourceEvent): Promise<readonly string[]> {
    const members = (await view.stateAt(order ?? 0)).ofType('m.room.member')
    return [...members.keys()].filter((userId) => this.#service.ownsUser(userId))
  }
}

/** The first of these who is joined after the event. */
async function presentAt(
  view: SourceRoom,
  { order }: SourceEvent,
  candidates: readonly string[],
): Promise<string | undefined> {
  const state = await view.stateAt(order ?? 0)
  return candidates.find((userId) => state.get('m.room.member', userId)?.pdu.content.membership === 'join')
}

const targetOf = ({ pdu }: SourceEvent): string | undefined =>
  pdu.type === 'm.room.member' ? pdu.state_key : undefined
