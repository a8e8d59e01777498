/** Who may read which events. Spec: client-server-api §Room History Visibility. */

import type { Membership } from './contract.ts'
import type { RoomsCore } from './core.ts'
import { type KeptEvent, membershipIn } from './event.ts'
import type { OpenRoom } from './open-room.ts'
import { type Bounds, hasEnd, isGone } from './retention.ts'
import type { SeenInGroups } from './state-groups.ts'
import { stateSlot } from './state-map.ts'

export type HistoryVisibility = 'world_readable' | 'shared' | 'invited' | 'joined'
const VISIBILITIES: ReadonlySet<unknown> = new Set(['world_readable', 'shared', 'invited', 'joined'])

/** What a room's state says of its history; `shared` where it says nothing that is understood. */
export function historyVisibilityIn(event: KeptEvent | undefined): HistoryVisibility {
  const value = event?.pdu.content.history_visibility
  return VISIBILITIES.has(value) ? (value as HistoryVisibility) : 'shared'
}

/** One piece of the state of a group. Only durable events and groups are found. */
export async function findInGroup(
  room: OpenRoom,
  group: number,
  type: string,
  stateKey: string,
  seen?: SeenInGroups,
): Promise<KeptEvent | undefined> {
  const now = findInGroupNow(room, group, type, stateKey, seen)
  return now === undefined ? readInGroup(room, group, type, stateKey, seen) : (now ?? undefined)
}

/** As `findInGroup`, if it is in memory: `null` where the slot is empty, `undefined` where the disk must be asked. */
function findInGroupNow(
  room: OpenRoom,
  group: number,
  type: string,
  stateKey: string,
  seen?: SeenInGroups,
): KeptEvent | null | undefined {
  const { visible } = room
  const current = visible.state.get(type, stateKey)
  if (group === visible.group) return current ?? null
  const eventId = room.groups.findNow(group, stateSlot(type, stateKey), seen)
  if (eventId === undefined || eventId === null) return eventId
  if (current?.eventId === eventId) return current
  return room.recent.find(eventId)
}

async function readInGroup(
  room: OpenRoom,
  group: number,
  type: string,
  stateKey: string,
  seen?: SeenInGroups,
): Promise<KeptEvent | undefined> {
  const eventId = await room.groups.find(group, stateSlot(type, stateKey), seen)
  return eventId === null ? undefined : room.reader.find(eventId)
}

/** Answers for one user and one room, remembering what it found for each state group that it came across. */
export class Sight {
  readonly #core: RoomsCore
  readonly #room: OpenRoom
  readonly #userId: string
  readonly #byGroup = new Map<number, { visibility: HistoryVisibility; membership: Membership }>()
  readonly #bounds: Bounds
  readonly #settingIn: SeenInGroups = new Map()
  readonly #memberIn: SeenInGroups = new Map()
  #joinedUntil: number | undefined

  constructor(core: RoomsCore, room: OpenRoom, userId: string) {
    this.#core = core
    this.#room = room
    this.#userId = userId
    this.#bounds = core.retention.boundsOf(room.roomId, room.visible.state)
  }

  /** Told without looking at any event: the user is in the room, whose history was never closed to anybody in it, nor ends. */
  get seesAll(): boolean {
    if (hasEnd(this.#bounds)) return false
    const { state, joined } = this.#room.visible
    const setting = state.get('m.room.history_visibility')
    if (!joined.has(this.#userId) || setting?.replaces !== undefined) return false
    const visibility = historyVisibilityIn(setting)
    return visibility === 'shared' || visibility === 'world_readable'
  }

  async maySee(event: KeptEvent): Promise<boolean> {
    if (event.order === null || event.isHidden || isGone(this.#bounds, event)) return false
    if (await this.#allows(event.groupAfter, event.order)) return true
    const { type, state_key: stateKey } = event.pdu
    const changesSight =
      (type === 'm.room.history_visibility' && stateKey === '') ||
      (type === 'm.room.member' && stateKey === this.#userId)
    return changesSight && this.#allows(event.groupBefore, event.order)
  }

  /** The user's membership in the state of a group; `leave` where there is none. A promise only where the disk is asked. */
  membershipIn(group: number): Membership | Promise<Membership> {
    const now = findInGroupNow(this.#room, group, 'm.room.member', this.#userId, this.#memberIn)
    if (now !== undefined) return membershipIn(now ?? undefined) ?? 'leave'
    return readInGroup(this.#room, group, 'm.room.member', this.#userId, this.#memberIn).then(
      (event) => membershipIn(event) ?? 'leave',
    )
  }

  /** The numbered rules, for an event in the state of this group. */
  async #allows(group: number, order: number): Promise<boolean> {
    const { visibility, membership } = this.#byGroup.get(group) ?? (await this.#look(group))
    // 1, 2
    if (visibility === 'world_readable' || membership === 'join') return true
    // 3
    if (visibility === 'shared') return order < (this.#joinedUntil ?? (await this.#lookUpJoins()))
    // 4, 5
    return visibility === 'invited' && membership === 'invite'
  }

  async #look(group: number): Promise<{ visibility: HistoryVisibility; membership: Membership }> {
    const setting = await findInGroup(this.#room, group, 'm.room.history_visibility', '', this.#settingIn)
    const found = {
      visibility: historyVisibilityIn(setting),
      membership: await this.membershipIn(group),
    }
    this.#byGroup.set(group, found)
    return found
  }

  /** The order before which all events are older than the user's newest join. */
  async #lookUpJoins(): Promise<number> {
    if (this.#room.visible.joined.has(this.#userId)) this.#joinedUntil = Number.POSITIVE_INFINITY
    else {
      const membership = await this.#core.memberships.find(this.#userId, this.#room.roomId)
      this.#joinedUntil = membership?.joinOrder ?? Number.NEGATIVE_INFINITY
    }
    return this.#joinedUntil
  }
}
