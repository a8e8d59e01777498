import { isJsonObject, numberOf } from '../json.ts'
import { allow, type Json, type JsonObject, type Pdu, reject, type Verdict } from '../pdu.ts'
import type { RoomVersionRules } from '../room-versions.ts'

/** The levels of `m.room.power_levels` that stand by themselves, with what holds where they are not set. */
export const LEVEL_DEFAULTS = {
  users_default: 0,
  events_default: 0,
  state_default: 50,
  ban: 50,
  redact: 50,
  kick: 50,
  invite: 0,
} as const
export type LevelName = keyof typeof LEVEL_DEFAULTS
export const LEVEL_NAMES = Object.keys(LEVEL_DEFAULTS) as readonly LevelName[]

/** The maps from something to a level in `m.room.power_levels`. */
type LevelMapName = 'users' | 'events' | 'notifications'

/**
 * What a `m.room.power_levels` event says, its values as numbers. Values that are no level in the room's version count as
 * not set: such an event is rejected when it is sent, but nothing here relies on that.
 */
export interface PowerLevels {
  /** Only the levels that the event sets. */
  readonly levels: ReadonlyMap<LevelName, number>
  readonly users: ReadonlyMap<string, number>
  readonly events: ReadonlyMap<string, number>
  readonly notifications: ReadonlyMap<string, number>
}

// What Python's int() skips around digits, so that we read a stored level as the other servers of an old room do.
const STRING_LEVEL =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the control characters count as white space there
  /^[\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]*([+-]?[0-9]+)[\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]*$/

/**
 * One level as a number. From room version 10 on only integers are levels; before, also strings of an integer, and floats,
 * of which the fraction is dropped. Spec: rooms/v1 §Deprecated event content schemas, rooms/v10 §Event format.
 *
 * @returns `undefined` for anything that is not a level in a room of these rules
 */
export function parseLevel(value: Json | undefined, rules: RoomVersionRules): number | undefined {
  if (rules.integerPowerLevels) return Number.isInteger(value) ? (value as number) : undefined
  const level = typeof value === 'string' ? Number(STRING_LEVEL.exec(value)?.[1] ?? Number.NaN) : numberOf(value)
  return Number.isFinite(level) ? Math.trunc(level as number) : undefined
}

function readMap(value: Json | undefined, rules: RoomVersionRules): ReadonlyMap<string, number> {
  const levels = new Map<string, number>()
  if (!isJsonObject(value)) return levels
  for (const [key, entry] of Object.entries(value)) {
    const level = parseLevel(entry, rules)
    if (level !== undefined) levels.set(key, level)
  }
  return levels
}

function read(content: JsonObject, rules: RoomVersionRules): PowerLevels {
  const levels = new Map<LevelName, number>()
  for (const name of LEVEL_NAMES) {
    const level = parseLevel(content[name], rules)
    if (level !== undefined) levels.set(name, level)
  }
  return {
    levels,
    users: readMap(content.users, rules),
    events: readMap(content.events, rules),
    notifications: readMap(content.notifications, rules),
  }
}

const NONE: PowerLevels = { levels: new Map(), users: new Map(), events: new Map(), notifications: new Map() }

/** Read once per event object: every event that is sent asks for the room's power levels. */
const readAlready = { asIntegers: new WeakMap<Pdu, PowerLevels>(), leniently: new WeakMap<Pdu, PowerLevels>() }

/** @param event the room's `m.room.power_levels` event; the same object must not change its content later */
export function readPowerLevels(event: Pdu | undefined, rules: RoomVersionRules): PowerLevels {
  if (!event) return NONE
  const known = rules.integerPowerLevels ? readAlready.asIntegers : readAlready.leniently
  const before = known.get(event)
  if (before) return before
  const powerLevels = isJsonObject(event.content) ? read(event.content, rules) : NONE
  known.set(event, powerLevels)
  return powerLevels
}

/**
 * Whether every level in the content can be read. Rules 10.1 and 10.2 of v12, and their like before version 10, where the
 * specification only says it of `users` but leaves no way to compare any other value either.
 */
export function checkLevelsReadable(content: JsonObject, rules: RoomVersionRules): Verdict {
  // 10.1
  for (const name of LEVEL_NAMES) {
    if (Object.hasOwn(content, name) && parseLevel(content[name], rules) === undefined) {
      return reject(`content.${name} is not an integer`)
    }
  }
  // 10.2
  const events = checkMapReadable(content, 'events', rules)
  if (!events.ok) return events
  return rules.checkNotificationLevels ? checkMapReadable(content, 'notifications', rules) : allow
}

/** Whether `content[name]` is absent or an object whose values are all levels. */
export function checkMapReadable(content: JsonObject, name: LevelMapName, rules: RoomVersionRules): Verdict {
  if (!Object.hasOwn(content, name)) return allow
  const map = content[name]
  if (!isJsonObject(map)) return reject(`content.${name} is not an object`)
  for (const key of Object.keys(map)) {
    if (parseLevel(map[key], rules) === undefined) return reject(`content.${name} has a value that is not an integer`)
  }
  return allow
}
