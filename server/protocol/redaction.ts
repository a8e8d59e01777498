/**
 * The redaction algorithm: what is left of an event when all that its room's working does not need is taken away.
 * Spec: client-server-api §Redactions; rooms/v1, v6, v8, v9, v11 §Redactions.
 */
import { isJsonObject } from './json.ts'
import type { Json, JsonObject, Pdu } from './pdu.ts'
import type { RoomVersionRules } from './room-versions.ts'

// In the order of canonical JSON, which saves the encoder a sort.
const TOP_LEVEL_V11: readonly string[] = [
  'auth_events',
  'content',
  'depth',
  'event_id',
  'hashes',
  'origin_server_ts',
  'prev_events',
  'room_id',
  'sender',
  'signatures',
  'state_key',
  'type',
]
const TOP_LEVEL_V1: readonly string[] = [...TOP_LEVEL_V11, 'membership', 'origin', 'prev_state'].sort()

const POWER_LEVELS: readonly string[] = [
  'ban',
  'events',
  'events_default',
  'kick',
  'redact',
  'state_default',
  'users',
  'users_default',
]

/** The keys of `content` that stay, by event type; all others go, as does all content of other types. */
type KeptContent = ReadonlyMap<string, readonly string[]>

const keptByVersion = new Map<string, KeptContent>()

function keptContent(rules: RoomVersionRules): KeptContent {
  const known = keptByVersion.get(rules.version)
  if (known) return known
  const kept = new Map<string, readonly string[]>([
    [
      'm.room.member',
      rules.redactionKeepsAuthorisingUser ? ['join_authorised_via_users_server', 'membership'] : ['membership'],
    ],
    ['m.room.join_rules', rules.restrictedJoins ? ['allow', 'join_rule'] : ['join_rule']],
    ['m.room.power_levels', rules.redactionV11 ? [...POWER_LEVELS, 'invite'] : POWER_LEVELS],
    ['m.room.history_visibility', ['history_visibility']],
  ])
  if (rules.specialAliases) kept.set('m.room.aliases', ['aliases'])
  if (rules.redactionV11) kept.set('m.room.redaction', ['redacts'])
  else kept.set('m.room.create', ['creator'])
  keptByVersion.set(rules.version, kept)
  return kept
}

/**
 * A redacted copy of an event, by the algorithm of its room's version. The event itself is not changed; what stays is
 * shared with it. `unsigned` goes as well: a `redacted_because` is the caller's to add. Redacting twice changes nothing.
 */
export function redact<E extends Pdu | JsonObject>(event: E, rules: RoomVersionRules): E {
  const source = event as JsonObject
  const redacted = pick(source, rules.redactionV11 ? TOP_LEVEL_V11 : TOP_LEVEL_V1)
  if (Object.hasOwn(source, 'content')) redacted.content = redactContent(source.type, source.content, rules)
  return redacted as E
}

function redactContent(type: Json | undefined, content: Json | undefined, rules: RoomVersionRules): JsonObject {
  if (!isJsonObject(content) || typeof type !== 'string') return {}
  if (rules.redactionV11 && type === 'm.room.create') return content
  const kept = pick(content, keptContent(rules).get(type) ?? [])
  if (rules.redactionV11 && type === 'm.room.member' && Object.hasOwn(content, 'third_party_invite')) {
    // Of an invite that is an object only `signed` stays, even if there is none; others leave `{}` behind, too.
    const invite = content.third_party_invite
    if (isJsonObject(invite)) kept.third_party_invite = pick(invite, ['signed'])
  }
  return kept
}

function pick(object: JsonObject, keys: readonly string[]): { [key: string]: Json } {
  const picked: { [key: string]: Json } = {}
  for (const key of keys) {
    if (Object.hasOwn(object, key)) picked[key] = object[key] as Json
  }
  return picked
}
