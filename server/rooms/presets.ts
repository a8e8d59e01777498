import type { JsonObject } from '../protocol/pdu.ts'
import type { RoomVersionRules } from '../protocol/room-versions.ts'

export type Preset = 'private_chat' | 'trusted_private_chat' | 'public_chat'

export interface PresetSettings {
  readonly joinRule: 'invite' | 'public'
  readonly historyVisibility: 'shared'
  readonly guestAccess: 'can_join' | 'forbidden'
  /** Who is invited on creation has as much power as the creator. */
  readonly trustsInvitees: boolean
  /** The power level that inviting takes. */
  readonly invite: number
}

/** Spec: client-server-api §POST /createRoom, the table of presets. */
export const PRESETS: Readonly<Record<Preset, PresetSettings>> = {
  private_chat: {
    joinRule: 'invite',
    historyVisibility: 'shared',
    guestAccess: 'can_join',
    trustsInvitees: false,
    invite: 0,
  },
  trusted_private_chat: {
    joinRule: 'invite',
    historyVisibility: 'shared',
    guestAccess: 'can_join',
    trustsInvitees: true,
    invite: 0,
  },
  public_chat: {
    joinRule: 'public',
    historyVisibility: 'shared',
    guestAccess: 'forbidden',
    trustsInvitees: false,
    invite: 50,
  },
}

/** The state that a preset sets, in its order. */
export function presetEvents(
  preset: PresetSettings,
): readonly { readonly type: string; readonly content: JsonObject }[] {
  return [
    { type: 'm.room.join_rules', content: { join_rule: preset.joinRule } },
    { type: 'm.room.history_visibility', content: { history_visibility: preset.historyVisibility } },
    { type: 'm.room.guest_access', content: { guest_access: preset.guestAccess } },
  ]
}

const TOMBSTONE_LEVEL = 150

/**
 * The first `m.room.power_levels` of a room. From room version 12 on the creators are above it and not named in it, and
 * only they may replace the room.
 *
 * @param trusted who has as much power as the creator in versions before 12
 * @param override keys that take the place of ours; must hold valid levels
 */
export function initialPowerLevels(levels: {
  readonly rules: RoomVersionRules
  readonly creator: string
  readonly trusted: readonly string[]
  readonly preset: PresetSettings
  readonly override: JsonObject
}): JsonObject {
  const { rules, creator, trusted, preset, override } = levels
  const users = rules.privilegedCreators ? {} : Object.fromEntries([creator, ...trusted].map((userId) => [userId, 100]))
  const tombstone = rules.privilegedCreators ? TOMBSTONE_LEVEL : 100
  const content: Record<string, JsonObject[string]> = {
    users,
    users_default: 0,
    events: {
      'm.room.name': 50,
      'm.room.power_levels': 100,
      'm.room.history_visibility': 100,
      'm.room.canonical_alias': 50,
      'm.room.avatar': 50,
      'm.room.tombstone': tombstone,
      'm.room.server_acl': 100,
      'm.room.encryption': 100,
    },
    events_default: 0,
    state_default: 50,
    ban: 50,
    kick: 50,
    redact: 50,
    invite: preset.invite,
    historical: 100,
    ...override,
  }
  const { events, state_default: stateDefault } = content
  const isChosen = isObject(override.events) && override.events['m.room.tombstone'] !== undefined
  if (rules.privilegedCreators && isObject(events) && !isChosen) {
    const level = Math.max(tombstone, typeof stateDefault === 'number' ? stateDefault + 1 : tombstone)
    content.events = { ...events, 'm.room.tombstone': level }
  }
  return content
}

const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** A topic in plain text, as clients of either age read it. Spec: client-server-api §m.room.topic. */
export const topicContent = (topic: string): JsonObject => ({
  topic,
  'm.topic': { 'm.text': [{ body: topic, mimetype: 'text/plain' }] },
})
