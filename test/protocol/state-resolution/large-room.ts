import {
  checkAuth,
  type KnownEvent,
  roomStateOf,
  type StateLookup,
  selectAuthEvents,
} from '../../../server/protocol/auth-rules/index.ts'
import type { JsonObject, Pdu } from '../../../server/protocol/pdu.ts'
import { getRoomVersion, type RoomVersionRules } from '../../../server/protocol/room-versions.ts'
import { type StateSet, stateMapKey } from '../../../server/protocol/state-resolution/index.ts'

/** A room in which two halves of the servers did not hear of each other for a while. */
export interface LargeRoom {
  readonly rules: RoomVersionRules
  readonly roomId: string
  readonly events: ReadonlyMap<string, KnownEvent>
  /** The state when the halves parted. */
  readonly common: ReadonlyMap<string, string>
  /** The state of either half since, as differences from `common`. */
  readonly forks: readonly [StateSet, StateSet]
  eventById(eventId: string): KnownEvent | undefined
  rank(eventId: string): number | undefined
}

const ADMIN = '@admin:example.org'
const moderator = (index: number): string => `@moderator${index}:example.org`
const member = (index: number): string => `@member${index}:server${index % 50}.example`
const MODERATORS = 8

/**
 * Makes the room: `members` of them join over time while the power levels change now and then and some change their
 * profile; then each fork goes its way with `forkLength` joins, bans, kicks, topics, power levels and join rules.
 */
export function makeLargeRoom(version: string, members: number, forkLength: number): LargeRoom {
  const rules = getRoomVersion(version)
  const events = new Map<string, KnownEvent>()
  const ranks = new Map<string, number>()
  let roomId = '!large:example.org'
  const state = new Map<string, string>()
  let delta: Map<string, string | null> | undefined
  let ts = 1_700_000_000_000
  let latest: string[] = []

  const find: StateLookup = (type, stateKey) => {
    const key = stateMapKey(type, stateKey)
    const eventId = delta?.get(key) ?? state.get(key)
    return eventId === undefined ? undefined : events.get(eventId)
  }
  const send = (by: string, type: string, stateKey: string, content: JsonObject): void => {
    const subject = { type, sender: by, state_key: stateKey, content }
    ts += 1_000
    const pdu: Pdu = {
      ...subject,
      ...(rules.roomIdIsCreateHash && type === 'm.room.create' ? {} : { room_id: roomId }),
      prev_events: latest,
      auth_events: selectAuthEvents(subject, find, rules).map(({ eventId }) => eventId),
      depth: events.size + 1,
      origin_server_ts: ts,
      hashes: { sha256: '' },
      signatures: {},
    }
    if (!checkAuth(pdu, roomStateOf(find, rules), rules).ok) return
    const eventId = `$${events.size.toString(36).padStart(43, '0')}`
    if (type === 'm.room.create' && rules.roomIdIsCreateHash) roomId = `!${eventId.slice(1)}`
    events.set(eventId, { eventId, pdu })
    ranks.set(eventId, ranks.size)
    latest = [eventId]
    if (delta) delta.set(stateMapKey(type, stateKey), eventId)
    else state.set(stateMapKey(type, stateKey), eventId)
  }
  const levels = (more: JsonObject): JsonObject => ({
    users: {
      ...(rules.privilegedCreators ? {} : { [ADMIN]: 100 }),
      ...Object.fromEntries(Array.from({ length: MODERATORS }, (_, index) => [moderator(index), 50 + index])),
      ...more,
    },
  })
  const join = (who: string, name = ''): void =>
    send(who, 'm.room.member', who, { membership: 'join', displayname: name })

  send(ADMIN, 'm.room.create', '', { room_version: version, ...(rules.creatorIsSender ? {} : { creator: ADMIN }) })
  join(ADMIN)
  send(ADMIN, 'm.room.power_levels', '', levels({}))
  send(ADMIN, 'm.room.join_rules', '', { join_rule: 'public' })
  for (let index = 0; index < MODERATORS; index += 1) join(moderator(index))
  for (let index = 0; index < members; index += 1) {
    join(member(index))
    if (index % 7 === 0) join(member(index), 'renamed')
    if (index % 400 === 0) send(ADMIN, 'm.room.power_levels', '', levels({ [member(index)]: 1 + (index % 40) }))
  }

  const common = state
  const start = latest
  const goOwnWay = (side: 0 | 1): StateSet => {
    delta = new Map()
    latest = start
    for (let index = 0; index < forkLength; index += 1) fork(side, index)
    return { base: common, delta }
  }
  const fork = (side: 0 | 1, index: number): void => {
    const by = moderator((index * 3 + side) % MODERATORS)
    const victim = member((index * 13 + side * 5) % members)
    const step = index % 20
    if (step === 0)
      send(ADMIN, 'm.room.power_levels', '', levels({ [victim]: 10 + side, [moderator(7)]: side ? 0 : 57 }))
    else if (step === 10) send(by, 'm.room.join_rules', '', { join_rule: index % 3 === 0 ? 'invite' : 'public' })
    else if (step < 5) send(by, 'm.room.member', victim, { membership: 'ban' })
    else if (step < 8) send(by, 'm.room.member', victim, { membership: 'leave' })
    else if (step < 13) send(by, 'm.room.topic', '', { topic: `${side} ${index}` })
    else if (step < 17) join(`@new${side}x${index}:example.org`)
    else join(member((index * 13 - 40 + members) % members), `back ${index}`)
  }
  const forks = [goOwnWay(0), goOwnWay(1)] as const
  return {
    rules,
    roomId,
    events,
    common,
    forks,
    eventById: (eventId) => events.get(eventId),
    rank: (eventId) => ranks.get(eventId),
  }
}
