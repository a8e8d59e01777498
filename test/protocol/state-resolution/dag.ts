import {
  type AuthSubject,
  checkAuth,
  checkAuthEvents,
  type KnownEvent,
  type RoomState,
  roomStateOf,
  selectAuthEvents,
  stateOfAuthEvents,
} from '../../../server/protocol/auth-rules/index.ts'
import { eventIdOf } from '../../../server/protocol/event-id.ts'
import type { EventReference, JsonObject, Pdu, Verdict } from '../../../server/protocol/pdu.ts'
import { getRoomVersion, type RoomVersionRules } from '../../../server/protocol/room-versions.ts'
import { resolveState, stateMapKey, toMap } from '../../../server/protocol/state-resolution/index.ts'

export const alice = '@alice:one.example'
export const bob = '@bob:two.example'
export const carol = '@carol:three.example'
export const dave = '@dave:two.example'
export const PEOPLE = [alice, bob, carol, dave] as const

export type FullState = ReadonlyMap<string, string>

/** An event as a story tells it. */
export interface Telling {
  /** How the story calls the event; also its ID, unless the room was asked for real ones. */
  readonly name: string
  readonly by: string
  readonly type: string
  /** Absent for what is no state event. */
  readonly key?: string
  readonly content?: JsonObject
  /** What comes right before, by name; by default the event told last. */
  readonly after?: readonly string[]
  /** The state before, where it is not what follows from `after`: as when a server was told an outdated one. */
  readonly state?: FullState
  /** Names of auth events, where they are not the ones that the state selects. */
  readonly auth?: readonly string[]
  /** By default one second later than the event told before. */
  readonly ts?: number
  readonly depth?: number
  readonly redacts?: string
  /** Add it although the rules reject it. */
  readonly evenIfRejected?: boolean
}

export interface Proposal {
  readonly event: KnownEvent
  readonly before: FullState
  readonly verdict: Verdict
}

/** A room that is told event by event; each gets its auth events and the state after it, as a server would make it. */
export interface Dag {
  readonly version: string
  readonly rules: RoomVersionRules
  readonly roomId: string
  readonly events: ReadonlyMap<string, KnownEvent>
  /** In the order of their telling, which is an order of acceptance. */
  readonly names: readonly string[]
  add(telling: Telling): KnownEvent
  /** An event that is not added, the state before it, and what the rules say of it. */
  propose(telling: Telling): Proposal
  id(name: string): string
  name(eventId: string): string
  pdu(name: string): Pdu
  stateAfter(name: string): FullState
  eventById(eventId: string): KnownEvent | undefined
  rank(eventId: string): number | undefined
  /** The resolution of the states after some events. */
  resolve(...names: string[]): FullState
  /** A state with events told by name: `'m.room.topic' → 'topic'`, `'m.room.member @bob:…' → 'bob joins'`. */
  told(state: FullState): Readonly<Record<string, string>>
}

export function newDag(
  version: string,
  options: { readonly realIds?: boolean; readonly create?: JsonObject } = {},
): Dag {
  const rules = getRoomVersion(version)
  const events = new Map<string, KnownEvent>()
  const states = new Map<string, FullState>()
  const ids = new Map<string, string>()
  const namesById = new Map<string, string>()
  const names: string[] = []
  let ts = 1_000_000
  let roomId = '!room:one.example'

  const id = (name: string): string => {
    const found = ids.get(name)
    if (found === undefined) throw new Error(`the story knows no event "${name}"`)
    return found
  }
  const refer = (eventId: string): EventReference => (rules.eventIds === 'inEvent' ? [eventId, {}] : eventId)
  const known = (eventId: string): KnownEvent => {
    const event = events.get(eventId)
    if (!event) throw new Error(`the story has no event ${eventId}`)
    return event
  }
  const eventById = (eventId: string): KnownEvent | undefined => events.get(eventId)
  const resolveStates = (all: readonly FullState[]): FullState =>
    toMap(resolveState({ roomId, rules, states: all, eventById, ranks: rank }).state)
  const rank = (eventId: string): number | undefined => {
    const index = names.indexOf(namesById.get(eventId) ?? '')
    return index === -1 ? undefined : index
  }
  const stateAfter = (name: string): FullState => states.get(id(name)) as FullState

  function build(telling: Telling) {
    const { name, by, type, key, content = {}, after = names.length === 0 ? [] : [names.at(-1) as string] } = telling
    const before = telling.state ?? resolveStates(after.map(stateAfter))
    const find = (entryType: string, entryKey: string): KnownEvent | undefined => {
      const eventId = before.get(stateMapKey(entryType, entryKey))
      return eventId === undefined ? undefined : known(eventId)
    }
    const subject: AuthSubject = { type, sender: by, content, ...(key === undefined ? {} : { state_key: key }) }
    const authEvents = telling.auth?.map(id) ?? selectAuthEvents(subject, find, rules).map(({ eventId }) => eventId)
    const readableId = rules.eventIds === 'inEvent' ? `$${name.replaceAll(' ', '-')}:one.example` : `$${name}`
    const domain = by.slice(by.indexOf(':') + 1)
    const pdu: Pdu = {
      ...subject,
      ...(rules.eventIds === 'inEvent' ? { event_id: readableId } : {}),
      ...(rules.roomIdIsCreateHash && type === 'm.room.create' ? {} : { room_id: roomId }),
      ...(telling.redacts === undefined ? {} : { redacts: telling.redacts }),
      prev_events: after.map((previous) => refer(id(previous))),
      auth_events: authEvents.map(refer),
      depth: telling.depth ?? 1 + Math.max(0, ...after.map((previous) => known(id(previous)).pdu.depth)),
      origin_server_ts: telling.ts ?? ts + 1_000,
      hashes: { sha256: 'not+checked+here' },
      signatures: { [domain]: { 'ed25519:1': 'notcheckedhere' } },
    }
    const eventId = options.realIds ? eventIdOf(pdu, rules) : readableId
    return { event: { eventId, pdu }, before, state: roomStateOf(find, rules) }
  }

  function judge(pdu: Pdu, state: RoomState): Verdict {
    const byAuthEvents = checkAuthEvents(pdu, eventById, rules)
    if (!byAuthEvents.ok) return byAuthEvents
    const byTheirState = checkAuth(pdu, stateOfAuthEvents(pdu, eventById, rules), rules)
    return byTheirState.ok ? checkAuth(pdu, state, rules) : byTheirState
  }

  function propose(telling: Telling): Proposal {
    const { event, before, state } = build(telling)
    return { event, before, verdict: judge(event.pdu, state) }
  }

  function add(telling: Telling): KnownEvent {
    if (ids.has(telling.name)) throw new Error(`the story tells "${telling.name}" twice`)
    const { event, before, verdict } = propose(telling)
    if (!verdict.ok && !telling.evenIfRejected) throw new Error(`"${telling.name}" is rejected: ${verdict.why}`)
    ts = event.pdu.origin_server_ts
    if (telling.type === 'm.room.create' && rules.roomIdIsCreateHash) roomId = `!${event.eventId.slice(1)}`
    events.set(event.eventId, event)
    ids.set(telling.name, event.eventId)
    namesById.set(event.eventId, telling.name)
    names.push(telling.name)
    const after = new Map(before)
    if (telling.key !== undefined) after.set(stateMapKey(telling.type, telling.key), event.eventId)
    states.set(event.eventId, after)
    return event
  }

  const creator = rules.creatorIsSender ? {} : { creator: alice }
  const content = { room_version: version, ...creator, ...options.create } as JsonObject
  add({ name: 'create', by: alice, type: 'm.room.create', key: '', content })
  return {
    version,
    rules,
    get roomId() {
      return roomId
    },
    events,
    names,
    add,
    propose,
    id,
    name: (eventId) => namesById.get(eventId) ?? eventId,
    pdu: (name) => known(id(name)).pdu,
    stateAfter,
    eventById,
    rank,
    resolve: (...chosen) => resolveStates(chosen.map(stateAfter)),
    told(state) {
      const entries = [...state].map(([key, eventId]) => [
        key.replace('\0', ' ').trim(),
        namesById.get(eventId) ?? eventId,
      ])
      return Object.fromEntries(entries.sort(([a = ''], [b = '']) => (a < b ? -1 : 1)))
    },
  }
}

export const join = (name: string, who: string, more: Partial<Telling> = {}): Telling =>
  member(name, who, who, 'join', more)

export const member = (
  name: string,
  by: string,
  who: string,
  membership: string,
  more: Partial<Telling> = {},
): Telling => ({ name, by, type: 'm.room.member', key: who, ...more, content: { membership, ...more.content } })

export const powerLevels = (name: string, by: string, users: JsonObject, more: Partial<Telling> = {}): Telling => ({
  name,
  by,
  type: 'm.room.power_levels',
  key: '',
  ...more,
  content: { users, ...more.content },
})

export const joinRules = (name: string, by: string, rule: string, more: Partial<Telling> = {}): Telling => ({
  name,
  by,
  type: 'm.room.join_rules',
  key: '',
  ...more,
  content: { join_rule: rule, ...more.content },
})

export const topic = (name: string, by: string, more: Partial<Telling> = {}): Telling => ({
  name,
  by,
  type: 'm.room.topic',
  key: '',
  content: { topic: name },
  ...more,
})

/** A public room of alice's: she made it, joined, has 100 (or is a creator), and everybody may join. */
export function newPublicRoom(
  version: string,
  options: { readonly realIds?: boolean; readonly create?: JsonObject; readonly users?: JsonObject } = {},
): Dag {
  const dag = newDag(version, options)
  dag.add(join('alice joins', alice))
  const own = dag.rules.privilegedCreators ? {} : { [alice]: 100 }
  dag.add(powerLevels('levels', alice, { ...own, ...options.users } as JsonObject))
  dag.add(joinRules('public', alice, 'public'))
  return dag
}
