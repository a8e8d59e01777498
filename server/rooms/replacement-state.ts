/** What a room that is upgraded hands on to its replacement. Spec: client-server-api §Room Upgrades, Server behaviour, 3. */
import { creatorsOf, readPowerLevels } from '../protocol/auth-rules/index.ts'
import type { JsonObject } from '../protocol/pdu.ts'
import type { RoomVersionRules } from '../protocol/room-versions.ts'
import { type KeptEvent, membershipIn } from './event.ts'
import { initialPowerLevels, PRESETS } from './presets.ts'
import type { StateMap } from './state-map.ts'

/** A room's state and the rules that it is read by. */
interface Old {
  readonly state: StateMap
  readonly rules: RoomVersionRules
}

export interface CarriedState {
  readonly type: string
  readonly stateKey: string
  readonly content: JsonObject
}

/** The specification's list, and what rooms that have it would miss. Power levels come last and by themselves. */
const CARRIED_ONCE = [
  'm.room.server_acl',
  'm.room.encryption',
  'm.room.name',
  'm.room.avatar',
  'm.room.topic',
  'm.room.guest_access',
  'm.room.history_visibility',
  'm.room.join_rules',
  'm.room.policy',
  'm.room.retention',
]
const CARRIED_ALL = ['m.space.child', 'm.space.parent', 'm.room.image_pack']
const CREATOR_LEVEL = 100
const TOMBSTONE_LEVEL = 150

/** Of the create event, without the predecessor. */
export function carriedCreateContent({ state }: Old): JsonObject {
  const { type, 'm.federate': federate } = state.get('m.room.create')?.pdu.content ?? {}
  return {
    ...(typeof type === 'string' && { type }),
    ...(typeof federate === 'boolean' && { 'm.federate': federate }),
  }
}

/** State of the new room, in the order in which it is to be set; what was taken back is left out. */
export function carriedState({ state }: Old, rules: RoomVersionRules): readonly CarriedState[] {
  const carried: CarriedState[] = []
  const carry = (event: KeptEvent | undefined): void => {
    if (!event || event.redactedBecause || Object.keys(event.pdu.content).length === 0) return
    const { type, state_key: stateKey = '', content } = event.pdu
    carried.push({ type, stateKey, content: type === 'm.room.join_rules' ? understood(content, rules) : content })
  }
  for (const type of CARRIED_ONCE) carry(state.get(type))
  for (const type of CARRIED_ALL) for (const event of state.ofType(type).values()) carry(event)
  return carried
}

/** Join rules that the version does not know would let nobody in; those who are invited may come. */
function understood(content: JsonObject, rules: RoomVersionRules): JsonObject {
  const { join_rule: rule } = content
  const isUnknown =
    (rule === 'knock' && !rules.knocking) ||
    (rule === 'restricted' && !rules.restrictedJoins) ||
    (rule === 'knock_restricted' && !rules.knockRestricted)
  return isUnknown ? { join_rule: 'invite' } : content
}

/** Who is banned, and why. */
export function carriedBans({ state }: Old): readonly { readonly target: string; readonly reason?: string }[] {
  return [...state.ofType('m.room.member')]
    .filter(([, member]) => membershipIn(member) === 'ban')
    .map(([target, { pdu }]) => ({
      target,
      ...(typeof pdu.content.reason === 'string' && { reason: pdu.content.reason }),
    }))
}

/**
 * The power levels of the new room: those of the old one, as the new version writes them. Creators have no level in versions
 * where they stand above them, and get one where the old room's did.
 * Spec: rooms/v12 §Authorization rules; client-server-api §POST /createRoom on `m.room.tombstone`.
 */
export function carriedPowerLevels(
  { state, rules: oldRules }: Old,
  { rules, creator, creators }: { rules: RoomVersionRules; creator: string; creators: readonly string[] },
): JsonObject {
  const event = state.get('m.room.power_levels')
  if (!event) {
    return initialPowerLevels({ rules, creator, trusted: [], preset: PRESETS.private_chat, override: {} })
  }
  const read = readPowerLevels(event.pdu, oldRules)
  const users = new Map(read.users)
  const events = new Map(read.events)
  if (rules.privilegedCreators) {
    for (const userId of [creator, ...creators]) users.delete(userId)
    // Whoever may replace the room gets a creator's power: more than it takes to set other state.
    const above = (read.levels.get('state_default') ?? 50) + 1
    const floor = oldRules.privilegedCreators ? above : Math.max(TOMBSTONE_LEVEL, above)
    events.set('m.room.tombstone', Math.max(events.get('m.room.tombstone') ?? TOMBSTONE_LEVEL, floor))
  } else if (oldRules.privilegedCreators) {
    const highest = Math.max(CREATOR_LEVEL, ...read.levels.values(), ...users.values(), ...events.values())
    for (const userId of creatorsOf(state.get('m.room.create')?.pdu, oldRules)) users.set(userId, highest)
    users.set(creator, highest)
  }
  return {
    ...event.pdu.content,
    ...Object.fromEntries(read.levels),
    users: Object.fromEntries(users),
    events: Object.fromEntries(events),
    ...(read.notifications.size > 0 && { notifications: Object.fromEntries(read.notifications) }),
  }
}
