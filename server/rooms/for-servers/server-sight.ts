/**
 * What a server that is in a room may have of its events: those that one of its users may see whole, of all others only what
 * redaction leaves, so that the DAG stays complete. Spec: client-server-api §Room History Visibility.
 */
import { serverNameOf } from '../../../shared/matrix/identifiers.ts'
import { redact } from '../../protocol/redaction.ts'
import type { RoomsCore } from '../core.ts'
import { type KeptEvent, membershipIn } from '../event.ts'
import type { OpenRoom } from '../open-room.ts'
import { type Bounds, isGone } from '../retention.ts'
import type { SeenInGroups } from '../state-groups.ts'
import { findInGroup, historyVisibilityIn } from '../visibility.ts'

/** So many users of a server are looked up in an old state; beyond, the server sees less than it might. */
const MAX_USERS = 256

/** Answers for one server and one room, remembering what it found for each state group that it came across. */
export class ServerSight {
  readonly #room: OpenRoom
  readonly #server: string
  readonly #bounds: Bounds
  readonly #byGroup = new Map<number, boolean>()
  readonly #settingIn: SeenInGroups = new Map()
  readonly #memberIn = new Map<string, SeenInGroups>()
  #users: readonly string[] | undefined

  constructor(core: RoomsCore, room: OpenRoom, server: string) {
    this.#room = room
    this.#server = server
    this.#bounds = core.retention.boundsOf(room.roomId, room.visible.state)
  }

  /** The event as JSON, whole or redacted. */
  async textOf(event: KeptEvent): Promise<string> {
    return (await this.maySee(event)) ? event.json : JSON.stringify(redact(event.pdu, event.rules))
  }

  async maySee(event: KeptEvent): Promise<boolean> {
    // What is known without its place is of auth chains and states, which every server in the room may have.
    if (event.order === null) return event.isState
    if (isGone(this.#bounds, event)) return false
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
