/** Who may read which events. Spec: client-server-api §Room History Visibility. */

import type { Membership } from './contract.ts'
import type { RoomsCore } from './core.ts'
import { type KeptEvent, membershipIn } from './event.ts'
import type { OpenRoom } from './open-room.ts'
import { type Bounds, hasEnd, isGone } from './retention.ts'
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
): Promise<KeptEvent | undefined> {
  return findInGroupNow(room, group, type, stateKey) ?? (await readInGroup(room, group, type, stateKey)) ?? undefined
}

/** As `findInGroup`, if it is in memory: `null` where the slot is empty, `undefined` where the disk must be asked. */
export function findInGroupNow(
  room: OpenRoom,
  group: number,
  type: string,
  stateKey: string,
): KeptEvent | null | undefined {
  const { visible } = room
  const current = visible.state.get(type, stateKey)
  if (group === visible.group) return current ?? null
  const eventId = room.groups.findNow(group, stateSlot(type, stateKey))
  if (eventId === undefined || eventId === null) return eventId
  if (current?.eventId === eventId) return current
  return room.recent.find(eventId)
}

async function readInGroup(
  room: OpenRoom,
  group: number,
  type: string,
  stateKey: string,
): Promise<KeptEvent | undefined> {
  const eventId = await room.groups.find(group, stateSlot(type, stateKey))
  return eventId === null ? undefined : room.reader.find(eventId)
}

/** A user's membership in the state of a group; `leave` where there is none. */
export async function membershipInGroup(room: OpenRoom, group: number, userId: string): Promise<Membership> {
  const now = findInGroupNow(room, group, 'm.room.member', userId)
  const event = now === undefined ? await findInGroup(room, group, 'm.room.member', userId) : now
  return membershipIn(event ?? undefined) ?? 'leave'
}

/** Answers for one user and one room, remembering what it found for each state group that it came across. */
export class Sight {
  readonly #core: RoomsCore
  readonly #room: OpenRoom
  readonly #userId: string
  readonly #byGroup = new Map<number, { visibility: HistoryVisibility; membership: Membership }>()
  readonly #bounds: Bounds
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
    const now = findInGroupNow(this.#room, group, 'm.room.history_visibility', '')
    const event = now === undefined ? await findInGroup(this.#room, group, 'm.room.history_visibility', '') : now
    const found = {
      visibility: historyVisibilityIn(event ?? undefined),
      membership: await membershipInGroup(this.#room, group, this.#userId),
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
