/**
 * What a server that is in a room may have of its events: messages that one of its users may see whole, of all others only what
 * redaction leaves, so that the DAG stays complete. Spec: client-server-api §Room History Visibility.
 */
import { serverNameOf } from '../../../shared/matrix/identifiers.ts'
import { redact } from '../../protocol/redaction.ts'
import type { RoomsCore } from '../core.ts'
import { type KeptEvent, membershipIn } from '../event.ts'
import type { OpenRoom } from '../open-room.ts'
import { turns } from '../receive/outliers.ts'
import { type Bounds, isGone } from '../retention.ts'
import type { SeenInGroups } from '../state-groups.ts'
import { findInGroup, historyVisibilityIn } from '../visibility.ts'

/** So many users of a server are looked up in an old state; beyond, the server sees less than it might. */
const MAX_USERS = 256

/** Answers for one server and one room, remembering what it found for each state group that it came across. */
export class ServerSight {
  readonly #core: RoomsCore
  readonly #room: OpenRoom
  readonly #server: string
  readonly #bounds: Bounds
  readonly #byGroup = new Map<number, boolean>()
  readonly #settingIn: SeenInGroups = new Map()
  readonly #memberIn = new Map<string, SeenInGroups>()
  readonly #waitTurn = turns()
  #users: readonly string[] | undefined

  constructor(core: RoomsCore, room: OpenRoom, server: string) {
    this.#core = core
    this.#room = room
    this.#server = server
    this.#bounds = core.retention.boundsOf(room.roomId, room.visible.state)
  }

  /**
   * The event as JSON, whole or redacted. State is always whole: any server in the room may ask for the room's state at any of
   * its events, and redacted copies of it would only keep servers from coming to the same state.
   */
  async textOf(event: KeptEvent): Promise<string> {
    const isWhole = event.isState || (await this.maySee(event))
    return isWhole ? event.json : JSON.stringify(redact(event.pdu, event.rules))
  }

  /** Whether some user of the server may see the event. */
  async maySee(event: KeptEvent): Promise<boolean> {
    if (event.order === null || isGone(this.#bounds, event)) return false
    // Who wanted their messages gone is read by those who had them. Spec: client-server-api §POST /account/deactivate, `erase`.
    const isErased = !event.isState && this.#core.erased.has(event.pdu.sender)
    if (isErased && !(await this.#hadUserIn(event.groupAfter, false))) return false
    if (await this.#allows(event.groupAfter)) return true
    const { type, state_key: stateKey } = event.pdu
    const changesSight =
      (type === 'm.room.history_visibility' && stateKey === '') ||
      (type === 'm.room.member' && stateKey !== undefined && serverNameOf(stateKey) === this.#server)
    return changesSight && this.#allows(event.groupBefore)
  }

  async #allows(group: number): Promise<boolean> {
    const known = this.#byGroup.get(group)
    if (known !== undefined) return known
    const setting = await findInGroup(this.#room, group, 'm.room.history_visibility', '', this.#settingIn)
    const visibility = historyVisibilityIn(setting)
    // By the rules, `shared` asks for a user who joined since: the server is in the room.
    const isOpen = visibility === 'world_readable' || visibility === 'shared'
    const allows = isOpen || (await this.#hadUserIn(group, visibility === 'invited'))
    this.#byGroup.set(group, allows)
    return allows
  }

  async #hadUserIn(group: number, countsInvites: boolean): Promise<boolean> {
    this.#users ??= this.#listUsers()
    await this.#waitTurn()
    for (const userId of this.#users) {
      const seen = this.#memberIn.get(userId) ?? new Map<number, string | null>()
      this.#memberIn.set(userId, seen)
      const membership = membershipIn(await findInGroup(this.#room, group, 'm.room.member', userId, seen))
      if (membership === 'join' || (countsInvites && membership === 'invite')) return true
    }
    return false
  }

  /** Users of the server who are or were members; who is joined longest first, as most likely to have been there. */
  #listUsers(): readonly string[] {
    const members: { readonly userId: string; readonly rank: number }[] = []
    for (const [userId, event] of this.#room.visible.state.ofType('m.room.member')) {
      if (serverNameOf(userId) !== this.#server) continue
      const isJoined = membershipIn(event) === 'join'
      members.push({ userId, rank: isJoined ? (event.order ?? 0) : Number.POSITIVE_INFINITY })
    }
    // Ranks may both be infinite: a difference would be none.
    members.sort((a, b) => (a.rank < b.rank ? -1 : a.rank > b.rank ? 1 : 0))
    return members.slice(0, MAX_USERS).map(({ userId }) => userId)
  }
}
