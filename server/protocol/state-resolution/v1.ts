import { createHash } from 'node:crypto'
import { checkAuth, type RoomState, roomStateOf } from '../auth-rules/index.ts'
import { ExactNumber } from '../json.ts'
import type { Dispute } from './dispute.ts'
import type { KnownEvents, StateEvent } from './known-events.ts'
import { stateMapKey } from './state-map.ts'

const POWER_LEVELS = stateMapKey('m.room.power_levels', '')

/** An entry of the state that is fought over, its events by ascending depth, then descending SHA-1 of their IDs. */
interface Candidates {
  readonly key: string
  readonly events: readonly StateEvent[]
}

/**
 * Version 1 of the algorithm. Spec: rooms/v1 §State resolution.
 *
 * @returns the entries that were fought over and the events that won them
 */
export function resolveV1(dispute: Dispute): ReadonlyMap<string, string> {
  const { conflict, events } = dispute
  const open = [...conflict.disputed].map(([key, eventIds]) => ({ key, events: inOrder(eventIds, events) }))
  const resolved = new Map<string, string>()
  // One pass after the other; in a pass all entries are judged by what the passes before it have left, so that it does not
  // matter which entry comes first.
  const pass = (chosen: readonly Candidates[], choose: (candidates: Candidates) => StateEvent | undefined): void => {
    const winners = chosen.map((candidates) => [candidates.key, choose(candidates)] as const)
    for (const [key, winner] of winners) if (winner) resolved.set(key, winner.eventId)
  }
  const stateWith = (event?: StateEvent): RoomState =>
    roomStateOf((type, stateKey) => {
      const key = stateMapKey(type, stateKey)
      if (event?.key === key) return event
      const eventId = resolved.get(key) ?? conflict.unconflicted(key)
      return eventId === undefined ? undefined : events.find(eventId)
    }, dispute.rules)
  const isAllowed = (event: StateEvent, state: RoomState): boolean =>
    event.rejected !== 'byAuthEvents' && checkAuth(event.pdu, state, dispute.rules, dispute.env).ok

  /** The last event of an unbroken row in which each is allowed by the one before it. */
  const lastInRow = (candidates: Candidates): StateEvent | undefined => {
    let [last] = candidates.events
    for (const event of candidates.events.slice(1)) {
      if (!isAllowed(event, stateWith(last))) break
      last = event
    }
    return last
  }
  /** The newest event that is allowed; if none is, the oldest, as all servers of such rooms do. */
  const newestAllowed = ({ events: candidates }: Candidates): StateEvent | undefined => {
    const state = stateWith()
    return candidates.findLast((event) => isAllowed(event, state)) ?? candidates[0]
  }

  const isOf = (type: string, { events: [event] }: Candidates): boolean => event?.pdu.type === type
  const powerLevels = open.filter(({ key }) => key === POWER_LEVELS)
  const joinRules = open.filter((candidates) => isOf('m.room.join_rules', candidates))
  const members = open.filter((candidates) => isOf('m.room.member', candidates))
  pass(powerLevels, lastInRow)
  pass(joinRules, lastInRow)
  pass(members, lastInRow)
  const done = new Set([...powerLevels, ...joinRules, ...members])
  pass(
    open.filter((candidates) => !done.has(candidates)),
    newestAllowed,
  )
  return resolved
}

function inOrder(eventIds: Iterable<string>, events: KnownEvents): readonly StateEvent[] {
  const known = [...eventIds].map(events.find).filter((event) => event !== undefined)
  const hashes = new Map(known.map(({ eventId }) => [eventId, createHash('sha1').update(eventId).digest('hex')]))
  const hashOf = ({ eventId }: StateEvent): string => hashes.get(eventId) as string
  return known.sort((a, b) => {
    const depths = depthOf(a) - depthOf(b)
    return depths === 0n ? (hashOf(a) > hashOf(b) ? -1 : 1) : depths < 0n ? -1 : 1
  })
}

/** Up to 2^63−1 in these rooms, and not to be rounded. */
function depthOf({ pdu }: StateEvent): bigint {
  const depth: unknown = pdu.depth
  return BigInt(depth instanceof ExactNumber ? depth.source : pdu.depth)
}
