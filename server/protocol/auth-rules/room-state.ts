import type { IdentifiedPdu } from '../pdu.ts'
import type { RoomVersionRules } from '../room-versions.ts'
import { creatorOf, creatorsOf } from './creators.ts'
import { LEVEL_DEFAULTS, type LevelName, type PowerLevels, readPowerLevels } from './power-levels.ts'

/** The state event of a type and state key, in the state that an event is judged against. */
export type StateLookup = (type: string, stateKey: string) => IdentifiedPdu | undefined

export type PowerAction = 'invite' | 'kick' | 'ban' | 'redact'

/** A room's state as the authorization rules ask about it. One object stands for one state: make a new one after a change. */
export interface RoomState {
  readonly find: StateLookup
  readonly create: IdentifiedPdu | undefined
  /** The user who made the room: the create event's sender, or its `content.creator` before room version 11. */
  readonly creator: string | undefined
  /** The creator, and from room version 12 on the additional ones. */
  readonly creators: ReadonlySet<string>
  readonly powerLevels: PowerLevels
  /** `content.join_rule`; `invite` where the room sets none. Not limited to values that are known. */
  readonly joinRule: string
  /** `content.membership` of the user's member event; `undefined` without one. Not limited to values that are known. */
  membership(userId: string): string | undefined
  /** The user's power level; `Infinity` for the creators from room version 12 on. */
  power(userId: string): number
  /** The invite, kick, ban or redact level. */
  powerNeeded(action: PowerAction): number
  /** The required power level of an event type. */
  powerToSend(type: string, isState: boolean): number
}

/**
 * The state behind a lookup. Costs nothing to make: create event and power levels are looked up when they are first needed.
 * Spec: server-server-api §Definitions (of the checks on receipt), client-server-api §m.room.power_levels.
 */
export function roomStateOf(find: StateLookup, rules: RoomVersionRules): RoomState {
  return new LookedUpState(find, rules)
}

class LookedUpState implements RoomState {
  readonly find: StateLookup
  readonly #rules: RoomVersionRules
  #create: IdentifiedPdu | undefined | null = null
  #powerLevelsEvent: IdentifiedPdu | undefined | null = null
  #powerLevels: PowerLevels | undefined

  constructor(find: StateLookup, rules: RoomVersionRules) {
    this.find = find
    this.#rules = rules
  }

  get create(): IdentifiedPdu | undefined {
    if (this.#create === null) this.#create = this.find('m.room.create', '')
    return this.#create
  }

  get creator(): string | undefined {
    return this.create && creatorOf(this.create.pdu, this.#rules)
  }

  get creators(): ReadonlySet<string> {
    return creatorsOf(this.create?.pdu, this.#rules)
  }

  get #levelsEvent(): IdentifiedPdu | undefined {
    if (this.#powerLevelsEvent === null) this.#powerLevelsEvent = this.find('m.room.power_levels', '')
    return this.#powerLevelsEvent
  }

  get powerLevels(): PowerLevels {
    this.#powerLevels ??= readPowerLevels(this.#levelsEvent?.pdu, this.#rules)
    return this.#powerLevels
  }

  get joinRule(): string {
    const content = this.find('m.room.join_rules', '')?.pdu.content
    if (content?.join_rule === undefined) return 'invite'
    return typeof content.join_rule === 'string' ? content.join_rule : ''
  }

  membership(userId: string): string | undefined {
    const membership = this.find('m.room.member', userId)?.pdu.content.membership
    return typeof membership === 'string' ? membership : undefined
  }

  power(userId: string): number {
    if (this.#rules.privilegedCreators && this.creators.has(userId)) return Number.POSITIVE_INFINITY
    if (this.#levelsEvent) return this.powerLevels.users.get(userId) ?? this.#level('users_default')
    // Without power levels, the creator of a room of versions 1 to 11 has 100 and everybody else 0.
    return this.creator === userId ? 100 : 0
  }

  powerNeeded(action: PowerAction): number {
    return this.#level(action)
  }

  powerToSend(type: string, isState: boolean): number {
    return this.powerLevels.events.get(type) ?? this.#level(isState ? 'state_default' : 'events_default')
  }

  #level(name: LevelName): number {
    return this.powerLevels.levels.get(name) ?? LEVEL_DEFAULTS[name]
  }
}
