/**
 * What a client of sliding sync has been told on one of its connections. Spec: MSC4186 §Connections.
 *
 * Only what a client has shown that it got is kept as told: an answer's own part waits until its `pos` comes back. Asked again
 * with the `pos` before, the server tells it all once more. Everything is in memory; a `pos` of before a restart, or of a
 * connection that was forgotten, is answered `M_UNKNOWN_POS`, and the client begins anew.
 */
import { MatrixError } from '../../shared/matrix/errors.ts'
import type { MembershipEntry, RoomEvent } from '../rooms/index.ts'
import type { LazyMembers } from './lazy-members.ts'
import { LeastRecentlyUsed } from './least-recently-used.ts'
import type { Watch } from './notifier.ts'
import type { RememberedChoice } from './sliding-chosen.ts'
import type { RoomConfig, Wish } from './sliding-wish.ts'

const MAX_CONNECTIONS = 500
const MAX_CONNECTIONS_OF_DEVICE = 10
/** Rooms that a connection remembers; of those told of longest ago it then knows nothing, and tells all. */
const MAX_ROOMS = 20_000
const MAX_CONFIGS = 16
/** Answers to one `pos` that may still be confirmed: a client asks again when it got none. */
const MAX_UNCONFIRMED = 4

/** What a client knows of a room. */
export interface SentRoom {
  /** With its timeline and state, or only by the stripped state of an invite or knock. */
  readonly kind: 'whole' | 'stripped'
  /** Stream position; what came later is news. */
  readonly upTo: number
  /** So many of the newest events it has without a gap; `Infinity`: all. */
  readonly timelineLimit: number
  /** Of the config under which it was told. */
  readonly configKey: string
  readonly isDm: boolean
  readonly notifications: number
  readonly highlights: number
}

/** What an answer adds to what the client knows. */
export interface Told {
  readonly position: number
  /** `null`: it has put the room away. */
  readonly rooms: ReadonlyMap<string, SentRoom | null>
  /** Member events that came because they were needed. */
  readonly members: readonly RoomEvent[]
  /** Of each list the number of its rooms. */
  readonly counts: ReadonlyMap<string, number>
  readonly globalAccountData: boolean
  readonly accountData: ToldRooms
  readonly receipts: ToldRooms
  /** By room: the list of those who type, as JSON text, unless empty. */
  readonly typing: ReadonlyMap<string, string>
  /** What the answer was made for. */
  readonly wish: Wish
  readonly choice: RememberedChoice
  readonly memberships: ReadonlyMap<string, MembershipEntry>
}

/** Up to where the client has been told of rooms; `Infinity`: up to the connection's position, from answer to answer. */
export interface ToldRooms {
  /** Nothing of before counts any more. */
  readonly isReset: boolean
  readonly upTo: ReadonlyMap<string, number>
}

export class Connection {
  readonly userId: string
  /** Names it in the memory of member events. */
  readonly name: string
  readonly rooms = new Map<string, SentRoom>()
  readonly configs = new LeastRecentlyUsed<string, RoomConfig>(MAX_CONFIGS)
  /** By room, up to where it knows account data and receipts, as `ToldRooms` has it. */
  readonly accountData = new Map<string, number>()
  readonly receipts = new Map<string, number>()
  /** `null` before the first answer. */
  position: number | null = null
  counts: ReadonlyMap<string, number> = new Map()
  typing: ReadonlyMap<string, string> = new Map()
  globalAccountData = false
  /** What the last answer was made for; where it is the same again, nothing of it need be looked through. */
  wish: Wish | undefined
  choice: RememberedChoice | undefined
  memberships: ReadonlyMap<string, MembershipEntry> | undefined
  /** The newest request, while it waits or reads. */
  request: Watch | undefined
  #confirmed: number | undefined
  readonly #unconfirmed = new Map<number, Told>()
  readonly #lazyMembers: LazyMembers

  /** @param name no two connections have the same */
  constructor(userId: string, name: string, lazyMembers: LazyMembers) {
    this.userId = userId
    this.name = name
    this.#lazyMembers = lazyMembers
  }

  hasMember(member: RoomEvent): boolean {
    return this.#lazyMembers.isKnown(this.name, 0, member)
  }

  /**
   * The client shows that it got an answer: what that told is known from now on.
   * @returns whether there was such an answer, or it is the one that was confirmed last
   */
  confirm(answer: number): boolean {
    if (answer === this.#confirmed) return true
    const told = this.#unconfirmed.get(answer)
    if (!told) return false
    this.#unconfirmed.clear()
    this.#confirmed = answer
    this.apply(told)
    return true
  }

  /** An answer that goes out. */
  await(answer: number, told: Told): void {
    this.#unconfirmed.set(answer, told)
    for (const oldest of this.#unconfirmed.keys()) {
      if (this.#unconfirmed.size <= MAX_UNCONFIRMED) break
      this.#unconfirmed.delete(oldest)
    }
  }

  apply(told: Told): void {
    this.position = told.position
    if (told.members.length > 0) this.#lazyMembers.note(this.name, 0, told.members)
    for (const [roomId, sent] of told.rooms) {
      this.rooms.delete(roomId)
      if (sent) this.rooms.set(roomId, sent)
    }
    for (const oldest of this.rooms.keys()) {
      if (this.rooms.size <= MAX_ROOMS) break
      this.rooms.delete(oldest)
    }
    this.counts = told.counts
    this.typing = told.typing
    this.globalAccountData = told.globalAccountData
    this.wish = told.wish
    this.choice = told.choice
    this.memberships = told.memberships
    applyRooms(this.accountData, told.accountData)
    applyRooms(this.receipts, told.receipts)
  }
}

function applyRooms(rooms: Map<string, number>, { isReset, upTo }: ToldRooms): void {
  if (isReset) rooms.clear()
  for (const [roomId, position] of upTo) {
    rooms.delete(roomId)
    rooms.set(roomId, position)
  }
  for (const oldest of rooms.keys()) {
    if (rooms.size <= MAX_ROOMS) break
    rooms.delete(oldest)
  }
}

/** `s<position>_<run of the server>.<number of the answer>`: `/messages` and `/relations` read the part before the underscore. */
const POS = /^s(\d{1,15})_([0-9a-z]{1,16})\.([0-9a-z]{1,11})$/

export class Connections {
  /** The name of this run of the server. */
  readonly #run: string
  readonly #connections = new LeastRecentlyUsed<string, Connection>(MAX_CONNECTIONS)
  /** By device, those that may still be there, least used first. */
  readonly #ofDevice = new LeastRecentlyUsed<string, string[]>(MAX_CONNECTIONS)
  readonly #lazyMembers: LazyMembers
  #answers = 0

  constructor(run: string, lazyMembers: LazyMembers) {
    this.#run = run
    this.#lazyMembers = lazyMembers
  }

  /** A client begins anew: what it knew on this connection is forgotten. */
  begin(device: { readonly userId: string; readonly deviceId: string }, connId: string): Connection {
    const deviceKey = JSON.stringify([device.userId, device.deviceId])
    const key = JSON.stringify([device.userId, device.deviceId, connId])
    const others = (this.#ofDevice.get(deviceKey) ?? []).filter((other) => other !== key)
    while (others.length >= MAX_CONNECTIONS_OF_DEVICE) this.#connections.delete(others.shift() as string)
    this.#ofDevice.set(deviceKey, [...others, key])
    this.#connections.get(key)?.request?.displace()
    const connection = new Connection(device.userId, `${key} ${this.nextAnswer()}`, this.#lazyMembers)
    this.#connections.set(key, connection)
    return connection
  }

  /** @throws MatrixError 400 M_UNKNOWN_POS where the client must begin anew */
  resume(device: { readonly userId: string; readonly deviceId: string }, connId: string, pos: string): Connection {
    const [, , run, answer] = POS.exec(pos) ?? []
    const connection = this.#connections.get(JSON.stringify([device.userId, device.deviceId, connId]))
    if (run !== this.#run || answer === undefined || !connection) throw unknownPos()
    if (!connection.confirm(Number.parseInt(answer, 36))) throw unknownPos()
    connection.request?.displace()
    return connection
  }

  /** Numbers of answers are never used twice, so that no connection takes another's for its own. */
  nextAnswer(): number {
    this.#answers += 1
    return this.#answers
  }

  write(position: number, answer: number): string {
    return `s${position}_${this.#run}.${answer.toString(36)}`
  }
}

const unknownPos = (): MatrixError =>
  new MatrixError('M_UNKNOWN_POS', 400, 'This server does not know the position any more: begin anew without it')
