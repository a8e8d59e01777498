import {
  checkAuth,
  creatorOf,
  creatorsOf,
  readPowerLevels,
  roomStateOf,
} from '../../../server/protocol/auth-rules/index.ts'
import { type Pdu, referencedIds } from '../../../server/protocol/pdu.ts'
import type { RoomVersionRules } from '../../../server/protocol/room-versions.ts'
import { stateMapKey } from '../../../server/protocol/state-resolution/index.ts'

export interface NaiveRoom {
  readonly rules: RoomVersionRules
  readonly roomId: string
  eventById(eventId: string): { readonly eventId: string; readonly pdu: Pdu } | undefined
}

const union = (a: Iterable<string>, b: Iterable<string>): ReadonlySet<string> => new Set([...a, ...b])

/** Where the specification's words leave a choice (server/DECISIONS.md), the other one. */
export interface Reading {
  /** Whether a state's full auth chain holds the state's own events. */
  readonly chainsHoldTheirEvents: boolean
  /** Whether power events bring along auth events that are reached through events outside of the full conflicted set. */
  readonly throughOthers: boolean
}
export const OURS: Reading = { chainsHoldTheirEvents: true, throughOthers: false }

/**
 * State resolution versions 2 and 2.1, sentence by sentence, with whole auth chains and no thought of speed.
 * Spec: rooms/v2 and rooms/v12 §State resolution. Only the authorization rules are shared with the real one.
 */
export function resolveNaively(
  room: NaiveRoom,
  states: readonly ReadonlyMap<string, string>[],
  reading: Reading = OURS,
): ReadonlyMap<string, string> {
  const { rules } = room
  const pduOf = (eventId: string): Pdu => {
    const event = room.eventById(eventId)
    if (!event) throw new Error(`no event ${eventId}`)
    return event.pdu
  }
  const authEventsOf = (eventId: string): readonly string[] => referencedIds(pduOf(eventId).auth_events)
  const keyOf = (eventId: string): string => stateMapKey(pduOf(eventId).type, pduOf(eventId).state_key as string)
  const chainOf = (eventIds: Iterable<string>): Set<string> => {
    const chain = new Set<string>()
    const waiting = [...eventIds].flatMap(authEventsOf)
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      if (chain.has(next)) continue
      chain.add(next)
      waiting.push(...authEventsOf(next))
    }
    return chain
  }

  const unconflicted = new Map<string, string>()
  const conflicted = new Set<string>()
  for (const key of new Set(states.flatMap((state) => [...state.keys()]))) {
    const values = states.map((state) => state.get(key))
    const [first] = values
    if (first !== undefined && values.every((value) => value === first)) unconflicted.set(key, first)
    else for (const value of values) if (value !== undefined) conflicted.add(value)
  }
  if (conflicted.size === 0) return unconflicted

  const chains = states.map((state) => {
    const chain = chainOf(state.values())
    return reading.chainsHoldTheirEvents ? union(chain, state.values()) : chain
  })
  const inSome = chains.reduce<ReadonlySet<string>>(union, new Set())
  const authDifference = [...inSome].filter((eventId) => !chains.every((chain) => chain.has(eventId)))
  let full: ReadonlySet<string> = union(conflicted, authDifference)
  if (rules.stateResolution === 'v2.1') {
    const leadsToConflict = (eventId: string): boolean => [...chainOf([eventId])].some((auth) => conflicted.has(auth))
    full = union(union(full, conflicted), [...chainOf(conflicted)].filter(leadsToConflict))
  }

  const isPowerEvent = (eventId: string): boolean => {
    const { type, state_key: stateKey, sender, content } = pduOf(eventId)
    if (type === 'm.room.power_levels' || type === 'm.room.join_rules') return stateKey === ''
    return (
      type === 'm.room.member' &&
      (content.membership === 'leave' || content.membership === 'ban') &&
      sender !== stateKey
    )
  }
  const chosen = new Set([...full].filter(isPowerEvent))
  if (reading.throughOthers) {
    for (const eventId of chainOf(chosen)) if (full.has(eventId)) chosen.add(eventId)
  } else {
    for (const eventId of chosen) for (const auth of authEventsOf(eventId)) if (full.has(auth)) chosen.add(auth)
  }

  const powers = new Map<string, number>()
  const powerOf = (eventId: string): number => {
    const power = powers.get(eventId) ?? readPower(eventId)
    powers.set(eventId, power)
    return power
  }
  const readPower = (eventId: string): number => {
    const { sender } = pduOf(eventId)
    const cited = rules.roomIdIsCreateHash
      ? [...authEventsOf(eventId), `$${room.roomId.slice(1)}`]
      : authEventsOf(eventId)
    const create = cited.map(pduOf).find(({ type }) => type === 'm.room.create')
    const levels = cited.map(pduOf).find(({ type }) => type === 'm.room.power_levels')
    if (rules.privilegedCreators && creatorsOf(create, rules).has(sender)) return Number.POSITIVE_INFINITY
    if (!levels) return create && creatorOf(create, rules) === sender ? 100 : 0
    const read = readPowerLevels(levels, rules)
    return read.users.get(sender) ?? read.levels.get('users_default') ?? 0
  }
  const byAge = (a: string, b: string): number =>
    pduOf(a).origin_server_ts - pduOf(b).origin_server_ts || (a < b ? -1 : a > b ? 1 : 0)
  const byPower = (a: string, b: string): number => {
    const [x, y] = [powerOf(a), powerOf(b)]
    return x === y ? byAge(a, b) : x > y ? -1 : 1
  }
  const ordered = new Set<string>()
  while (ordered.size < chosen.size) {
    const ready = [...chosen].filter(
      (eventId) =>
        !ordered.has(eventId) && authEventsOf(eventId).every((auth) => !chosen.has(auth) || ordered.has(auth)),
    )
    ordered.add(ready.reduce((least, eventId) => (byPower(eventId, least) < 0 ? eventId : least)))
  }

  const resolved = new Map(rules.stateResolution === 'v2.1' ? [] : unconflicted)
  const apply = (eventIds: Iterable<string>): void => {
    for (const eventId of eventIds) {
      const pdu = pduOf(eventId)
      const cited = rules.roomIdIsCreateHash
        ? [...authEventsOf(eventId), `$${room.roomId.slice(1)}`]
        : authEventsOf(eventId)
      const state = roomStateOf((type, stateKey) => {
        const key = stateMapKey(type, stateKey)
        return room.eventById(resolved.get(key) ?? cited.find((auth) => keyOf(auth) === key) ?? '')
      }, rules)
      if (checkAuth(pdu, state, rules).ok) resolved.set(keyOf(eventId), eventId)
    }
  }
  apply(ordered)

  const levelsOf = (eventId: string): string | undefined =>
    authEventsOf(eventId).find((auth) => pduOf(auth).type === 'm.room.power_levels')
  const mainline: string[] = []
  for (let at = resolved.get(stateMapKey('m.room.power_levels', '')); at !== undefined; at = levelsOf(at))
    mainline.push(at)
  const positionOf = (eventId: string): number => {
    for (let at = levelsOf(eventId); at !== undefined; at = levelsOf(at)) {
      const index = mainline.indexOf(at)
      if (index !== -1) return index
    }
    return Number.POSITIVE_INFINITY
  }
  const remaining = [...full]
    .filter((eventId) => !chosen.has(eventId))
    .sort((a, b) => {
      const [x, y] = [positionOf(a), positionOf(b)]
      return x === y ? byAge(a, b) : x > y ? -1 : 1
    })
  apply(remaining)

  for (const [key, eventId] of unconflicted) resolved.set(key, eventId)
  return resolved
}
