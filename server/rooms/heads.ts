import { serverNameOf } from '../../shared/matrix/identifiers.ts'
import { depthOf } from '../protocol/event-format.ts'
import { referenceHash } from '../protocol/hashes.ts'
import { type EventReference, type IdentifiedPdu, type Pdu, referencedIds } from '../protocol/pdu.ts'
import type { RoomVersionRules } from '../protocol/room-versions.ts'
import { type KeptEvent, membershipIn } from './event.ts'
import type { Gap } from './gaps.ts'
import { EMPTY_GROUP } from './state-groups.ts'
import { StateMap } from './state-map.ts'

/** A forward extremity: an event that no accepted event names as previous yet. */
export interface Extremity {
  readonly eventId: string
  /** How new events refer to it: by ID, or in room versions 1 and 2 with its hash. */
  readonly reference: EventReference
  readonly depth: number
  /** State group after it. */
  readonly group: number
}

/** Where a room stands after one event. Immutable: readers hold on to one while the room goes on. */
export interface Heads {
  /** Stream position of the newest change. */
  readonly position: number
  /** Order of the newest event, 0 in an empty room. */
  readonly latestOrder: number
  readonly earliestOrder: number
  /** See `KeptEvent.rank`. */
  readonly latestRank: number
  /** Where history is missing, lowest first. */
  readonly gaps: readonly Gap[]
  readonly extremities: readonly Extremity[]
  /** State group of the current state, which is `state`. */
  readonly group: number
  readonly state: StateMap
  readonly joined: ReadonlySet<string>
  readonly invited: number
  /** How many joined members each server has; servers without any are not in it. */
  readonly servers: ReadonlyMap<string, number>
}

const hashReferences = new WeakMap<Pdu, EventReference>()

/** How other events refer to this one. Spec: rooms/v1 and v3 §Event format. */
export function referenceTo({ eventId, pdu }: IdentifiedPdu, rules: RoomVersionRules): EventReference {
  if (rules.eventIds !== 'inEvent') return eventId
  const known = hashReferences.get(pdu)
  if (known) return known
  const reference = [eventId, { sha256: referenceHash(pdu, rules) }] as const
  hashReferences.set(pdu, reference)
  return reference
}

export const EMPTY_HEADS: Heads = {
  position: 0,
  latestOrder: 0,
  earliestOrder: 1,
  latestRank: 0,
  gaps: [],
  extremities: [],
  group: EMPTY_GROUP,
  state: StateMap.empty,
  joined: new Set(),
  invited: 0,
  servers: new Map(),
}

type Members = Pick<Heads, 'joined' | 'invited' | 'servers'>

/** One piece of state that is not what it was. */
export interface StateChange {
  readonly type: string
  readonly stateKey: string
  readonly before: KeptEvent | undefined
  readonly after: KeptEvent | undefined
}

/** What differs from one state to another. */
export function stateChanges(before: StateMap, after: StateMap): readonly StateChange[] {
  const changes: StateChange[] = []
  for (const event of after.all()) {
    const { type, state_key: stateKey = '' } = event.pdu
    const old = before.get(type, stateKey)
    if (old?.eventId !== event.eventId) changes.push({ type, stateKey, before: old, after: event })
  }
  for (const event of before.all()) {
    const { type, state_key: stateKey = '' } = event.pdu
    if (!after.get(type, stateKey)) changes.push({ type, stateKey, before: event, after: undefined })
  }
  return changes
}

/** Who is joined, from where, and how many are invited, after some changes of state. */
export function countMembers(heads: Heads, changes: readonly StateChange[]): Members {
  let { invited } = heads
  let joined: Set<string> | undefined
  let servers: Map<string, number> | undefined
  for (const { type, stateKey, before, after } of changes) {
    if (type !== 'm.room.member') continue
    const was = membershipIn(before)
    const is = membershipIn(after)
    if (was === is) continue
    if (was === 'invite') invited -= 1
    if (is === 'invite') invited += 1
    if (was !== 'join' && is !== 'join') continue
    joined ??= new Set(heads.joined)
    servers ??= new Map(heads.servers)
    if (is === 'join') joined.add(stateKey)
    else joined.delete(stateKey)
    addToServer(servers, stateKey, is === 'join' ? 1 : -1)
  }
  return { joined: joined ?? heads.joined, invited, servers: servers ?? heads.servers }
}

/** Who is joined, from where, and how many are invited in a state, counted anew. */
export function allMembers(state: StateMap): Members {
  const joined = new Set<string>()
  const servers = new Map<string, number>()
  let invited = 0
  for (const [userId, event] of state.ofType('m.room.member')) {
    const membership = membershipIn(event)
    if (membership === 'join') {
      joined.add(userId)
      addToServer(servers, userId, 1)
    } else if (membership === 'invite') invited += 1
  }
  return { joined, invited, servers }
}

function addToServer(servers: Map<string, number>, userId: string, change: 1 | -1): void {
  const server = serverNameOf(userId)
  const count = (servers.get(server) ?? 0) + change
  if (count > 0) servers.set(server, count)
  else servers.delete(server)
}

/**
 * The extremities after an accepted event.
 * @param behind events that it has taken the place of besides those that it names as previous
 */
export function extremitiesAfter(
  before: readonly Extremity[],
  event: KeptEvent,
  rules: RoomVersionRules,
  behind?: ReadonlySet<string>,
): readonly Extremity[] {
  const previous = new Set(referencedIds(event.pdu.prev_events))
  return [
    ...before.filter(({ eventId }) => !previous.has(eventId) && !behind?.has(eventId)),
    {
      eventId: event.eventId,
      reference: referenceTo(event, rules),
      depth: depthOf(event.pdu),
      group: event.groupAfter,
    },
  ]
}
