import { MatrixError } from '../../shared/matrix/errors.ts'
import type { JsonObject } from '../protocol/pdu.ts'
import { put, remove } from '../store/index.ts'
import type { RoomsCore } from './core.ts'
import { membershipIn } from './event.ts'
import { leave } from './membership-cases.ts'
import type { OpenRooms } from './open-rooms.ts'
import { propose } from './propose.ts'
import { allowsGuests } from './set-membership.ts'
import { type ChoreRow, chores } from './store.ts'

const RETRY_MS = 60_000

type Kind = 'profile' | 'leave' | 'guest'

/**
 * What goes on in many rooms after the answer: a changed profile is shown in each of them, a deactivated user leaves them, a guest
 * leaves those that forbid guests.
 * Noted on disk before it begins, so that a restart goes on with it; doing it twice changes nothing.
 */
export class Chores {
  readonly #core: RoomsCore
  readonly #rooms: OpenRooms
  /** By key; `isWantedAgain` where the reason came up again meanwhile. */
  readonly #running = new Map<string, { promise: Promise<void>; isWantedAgain: boolean }>()
  readonly #unsubscribe: () => void
  #isClosed = false

  constructor(core: RoomsCore, rooms: OpenRooms) {
    this.#core = core
    this.#rooms = rooms
    this.#unsubscribe = core.announcer.onEvent(({ roomId, event: { pdu } }) => {
      // Only these can change a room's state: the second kind joins branches of it.
      if (pdu.state_key !== undefined || pdu.prev_events.length > 1) void this.#sendGuestsAway(roomId)
    })
  }

  /** Goes on with what a stop has interrupted. */
  async resume(): Promise<void> {
    for (const row of await this.#core.store.home.range(chores, { index: 'key' })) this.#start(row)
    // A stop may have come between the change of a room and the note of what follows from it.
    for (const userId of await this.#core.accounts.listGuests()) await this.begin('guest', userId)
  }

  /** @returns when the work is noted; it goes on in the background */
  async begin(kind: Kind, userId: string): Promise<void> {
    const row: ChoreRow = { key: `${kind} ${userId}`, kind, userId }
    const running = this.#running.get(row.key)
    if (running) {
      running.isWantedAgain = true
      return
    }
    await this.#core.store.commit(() => [put(chores, row)])
    this.#start(row)
  }

  /** Resolves when nothing is under way. */
  async settled(): Promise<void> {
    while (this.#running.size > 0) await Promise.all([...this.#running.values()].map(({ promise }) => promise))
  }

  async close(): Promise<void> {
    this.#unsubscribe()
    this.#isClosed = true
    await this.settled()
  }

  #start(row: ChoreRow): void {
    if (this.#isClosed || this.#running.has(row.key)) return
    const running = { promise: Promise.resolve(), isWantedAgain: false }
    this.#running.set(row.key, running)
    running.promise = this.#run(row, running).finally(() => this.#running.delete(row.key))
  }

  async #run(row: ChoreRow, running: { isWantedAgain: boolean }): Promise<void> {
    try {
      do {
        running.isWantedAgain = false
        if (row.kind === 'profile') await this.#showProfile(row.userId)
        else if (row.kind === 'guest') await this.#leaveForbidden(row.userId)
        else await this.#leaveAll(row.userId)
      } while (running.isWantedAgain && !this.#isClosed)
      if (!this.#isClosed) await this.#core.store.commit(() => [remove(chores, row.key)])
    } catch (error) {
      // The note stays: it is tried again in a while, and at the next start.
      const { logger, clock } = this.#core.environment
      logger.warn({ event: 'rooms.chore.failed', chore: row.kind, userId: row.userId, error: String(error) })
      if (!this.#isClosed) clock.after(RETRY_MS, () => this.#start(row))
    }
  }

  async #roomsOf(userId: string, memberships: readonly string[]): Promise<readonly string[]> {
    return [...(await this.#core.memberships.of(userId)).values()]
      .filter(({ membership }) => memberships.includes(membership))
      .map(({ roomId }) => roomId)
  }

  /** Guests who are in a room that does not want them any more begin to leave it. */
  async #sendGuestsAway(roomId: string): Promise<void> {
    try {
      const guests = await this.#core.accounts.listGuests()
      if (guests.length === 0 || this.#isClosed) return
      using held = await this.#rooms.hold(roomId)
      if (!held || allowsGuests(held.room)) return
      for (const userId of guests) if (held.room.head.joined.has(userId)) await this.begin('guest', userId)
    } catch (error) {
      // The next start looks at all guests.
      this.#core.environment.logger.error({ event: 'rooms.guests_stay', roomId, error: String(error) })
    }
  }

  async #showProfile(userId: string): Promise<void> {
    for (const roomId of await this.#roomsOf(userId, ['join'])) {
      if (this.#isClosed) return
      await this.#ifAllowed(() => this.#showProfileIn(roomId, userId))
    }
  }

  async #showProfileIn(roomId: string, userId: string): Promise<void> {
    await this.#rooms.use(roomId, async (room) => {
      const proposed = await room.enter(async () => {
        const member = room.head.state.get('m.room.member', userId)
        if (!member || membershipIn(member) !== 'join') return undefined
        const { displayname, avatar_url: avatar } = await this.#core.accounts.profileOf(userId)
        const { displayname: oldName, avatar_url: oldAvatar, reason: _, ...rest } = member.pdu.content
        if (displayname === oldName && avatar === oldAvatar) return undefined
        const content: JsonObject = {
          ...rest,
          ...(typeof displayname === 'string' && { displayname }),
          ...(typeof avatar === 'string' && { avatar_url: avatar }),
        }
        return propose(this.#core, room, { type: 'm.room.member', sender: userId, stateKey: userId, content })
      })
      await proposed?.durable
    })
  }

  async #leaveAll(userId: string): Promise<void> {
    for (const roomId of await this.#roomsOf(userId, ['join', 'invite', 'knock'])) {
      if (this.#isClosed) return
      await this.#ifAllowed(() => leave(this.#core, this.#rooms, { roomId, userId }))
    }
  }

  /** Spec: client-server-api §Guest Access, §Server behaviour. */
  async #leaveForbidden(userId: string): Promise<void> {
    if (!(await this.#core.accounts.findAccount(userId))?.isGuest) return
    for (const roomId of await this.#roomsOf(userId, ['join'])) {
      if (this.#isClosed) return
      const isForbidden = await this.#rooms.use(roomId, (room) => !allowsGuests(room))
      if (!isForbidden) continue
      const reason = 'The room does not allow guests any more'
      await this.#ifAllowed(() => leave(this.#core, this.#rooms, { roomId, userId, reason }))
    }
  }

  /** A room that does not let the user do it must not keep them from the others. */
  async #ifAllowed(work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      if (!(error instanceof MatrixError)) throw error
      this.#core.environment.logger.info({ event: 'rooms.chore.refused', errcode: error.errcode, why: error.message })
    }
  }
}
