import { serverNameOf } from '../../shared/matrix/identifiers.ts'
import type { Outbox } from '../federation/index.ts'
import type { Environment } from '../observe/environment.ts'
import type { RoomsForReaders } from '../rooms/index.ts'
import type { Presence } from './presence.ts'

/** So many changes as come within this time are one. */
const GATHER_MS = 2_000
/** An EDU of presence waits for something else to go with. */
const WITHIN_MS = 5_000
/** Without another state or status, no news is sent more often. */
const BETWEEN_SAME_MS = 5 * 60_000
/** Others take a user for offline when they hear nothing for half an hour. */
const REPEAT_MS = 20 * 60_000
/** Rooms with more servers than this count for nobody's presence: who is in them knows each other least. */
const MAX_SERVERS_OF_ROOM = 100
/** The most servers that one user's presence is sent to. */
const MAX_SERVERS = 300
/** The most users whose presence a server is told when it comes into a room. */
const MAX_USERS_AT_JOIN = 50

interface Sent {
  readonly ts: number
  readonly presence: string
  readonly statusMsg: string | undefined
}

/**
 * Tells other servers of our users' presence: those that share a room with them, which is not a crowd.
 * Spec: server-server-api §Presence.
 */
export class PresenceToServers implements Disposable {
  readonly #environment: Environment
  readonly #rooms: RoomsForReaders
  readonly #presence: Presence
  readonly #outbox: Pick<Outbox, 'offerEdu'>
  readonly #unsubscribe: (() => void)[]
  /** Users whose presence is to be sent; whether it is news, as to servers that have come. */
  readonly #waiting = new Map<string, boolean>()
  readonly #sent = new Map<string, Sent>()
  #cancelGather: (() => void) | undefined
  #cancelRepeat: (() => void) | undefined

  constructor(deps: {
    readonly environment: Environment
    readonly rooms: RoomsForReaders
    readonly presence: Presence
    readonly outbox: Pick<Outbox, 'offerEdu'>
  }) {
    this.#environment = deps.environment
    this.#rooms = deps.rooms
    this.#presence = deps.presence
    this.#outbox = deps.outbox
    this.#unsubscribe = [
      deps.presence.onChange(({ userId, isLocal }) => {
        if (isLocal) this.#want(userId, false)
      }),
      deps.rooms.onEvent(({ event: { pdu }, roomId }) => {
        if (pdu.type !== 'm.room.member' || pdu.content.membership !== 'join' || pdu.state_key === undefined) return
        if (this.#isLocal(pdu.state_key)) this.#want(pdu.state_key, true)
        else this.#guard(this.#tellOfAll(serverNameOf(pdu.state_key), roomId))
      }),
    ]
  }

  [Symbol.dispose](): void {
    for (const end of this.#unsubscribe) end()
    this.#cancelGather?.()
    this.#cancelRepeat?.()
  }

  #isLocal(userId: string): boolean {
    return serverNameOf(userId) === this.#environment.serverName
  }

  #want(userId: string, isForNewServers: boolean): void {
    this.#waiting.set(userId, isForNewServers || this.#waiting.get(userId) === true)
    this.#cancelGather ??= this.#environment.clock.after(GATHER_MS, () => {
      this.#cancelGather = undefined
      const waiting = [...this.#waiting]
      this.#waiting.clear()
      for (const [user, isNew] of waiting) if (isNew || this.#isNews(user)) this.#guard(this.#send(user))
    })
  }

  #isNews(userId: string): boolean {
    const sent = this.#sent.get(userId)
    const now = this.#presence.contentOf(userId)
    if (!now) return false
    if (sent?.presence !== now.presence || sent.statusMsg !== now.status_msg) return true
    return this.#environment.clock.now() - sent.ts >= BETWEEN_SAME_MS
  }

  async #send(userId: string): Promise<void> {
    const edu = this.#eduOf(userId)
    const servers = await this.#serversOf(userId)
    if (!edu) return
    const { presence, status_msg: statusMsg } = this.#presence.contentOf(userId) ?? { presence: 'offline' }
    this.#sent.set(userId, { ts: this.#environment.clock.now(), presence, statusMsg })
    for (const server of servers) this.#outbox.offerEdu(server, edu, `presence ${userId}`, WITHIN_MS)
    this.#cancelRepeat ??= this.#environment.clock.after(REPEAT_MS, () => this.#repeat())
  }

  /** Whoever is still there is said to be. */
  #repeat(): void {
    this.#cancelRepeat = undefined
    const due = this.#environment.clock.now() - REPEAT_MS
    let isAnybodyThere = false
    for (const [userId, { ts, presence }] of this.#sent) {
      if (presence === 'offline') this.#sent.delete(userId)
      else isAnybodyThere = true
      if (presence !== 'offline' && ts <= due) this.#guard(this.#send(userId))
    }
    if (isAnybodyThere) this.#cancelRepeat = this.#environment.clock.after(REPEAT_MS / 4, () => this.#repeat())
  }

  /** A server has come into a room: it hears of those in it who are there. */
  async #tellOfAll(server: string, roomId: string): Promise<void> {
    const servers = await this.#rooms.serversAllowedIn(roomId)
    if (servers.size > MAX_SERVERS_OF_ROOM || !servers.has(server)) return
    let told = 0
    for (const userId of await this.#rooms.joinedUsers(roomId)) {
      if (!this.#isLocal(userId) || this.#presence.contentOf(userId)?.presence === 'offline') continue
      const edu = this.#eduOf(userId)
      if (!edu) continue
      this.#outbox.offerEdu(server, edu, `presence ${userId}`, WITHIN_MS)
      told += 1
      if (told === MAX_USERS_AT_JOIN) return
    }
  }

  #eduOf(userId: string) {
    const content = this.#presence.contentOf(userId)
    if (!content) return undefined
    const { presence, last_active_ago = 0, status_msg, currently_active } = content
    const push = [
      {
        user_id: userId,
        presence,
        last_active_ago,
        ...(status_msg !== undefined && { status_msg }),
        ...(currently_active !== undefined && { currently_active }),
      },
    ]
    return { edu_type: 'm.presence', content: { push } }
  }

  async #serversOf(userId: string): Promise<ReadonlySet<string>> {
    const servers = new Set<string>()
    for (const { roomId, membership } of (await this.#rooms.memberships(userId)).values()) {
      if (membership !== 'join') continue
      const inRoom = await this.#rooms.serversAllowedIn(roomId)
      if (inRoom.size > MAX_SERVERS_OF_ROOM) continue
      for (const server of inRoom) {
        if (servers.size === MAX_SERVERS) return servers
        servers.add(server)
      }
    }
    return servers
  }

  #guard(work: Promise<void>): void {
    work.catch((error: unknown) => this.#environment.logger.error({ event: 'presence.not-sent', error }))
  }
}
