/**
 * The conditions of push rules, compiled once per rule and then asked about many events.
 * Spec: client-server-api §Push Rules, Conditions; MSC3931.
 */
import { compileGlob, containsWords } from './glob.ts'
import { isJsonObject, ownValue } from './json.ts'
import type { Json, JsonObject } from './pdu.ts'

/** What a rule may have to know besides the event. */
export interface PushContext {
  /** Whose rules they are. */
  readonly userId: string
  /** The user's display name in the room, if any. */
  readonly displayName?: string | undefined
  /** How many joined members the room has now. */
  readonly memberCount: number
  /** The sender's power level; `Infinity` for creators in room version 12. */
  readonly senderPower: number
  /** `notifications` of the room's power levels; what is missing there needs 50. */
  readonly notificationLevels: JsonObject
  /** Push rule features of the room's version; no version up to 12 has any. */
  readonly roomVersionFeatures?: ReadonlySet<string>
}

/** What a rule that says nothing else needs of the sender. Spec: m.room.power_levels, `notifications`. */
const DEFAULT_NOTIFICATION_LEVEL = 50

/** A condition, ready to be asked. */
export type CompiledCondition = (event: PushEvent, context: PushContext) => boolean

const never: CompiledCondition = () => false

/**
 * An event as the conditions look at it, in the format that clients get (with `event_id` and `room_id`). Lower-cased texts
 * are kept, so make one per event and ask it for all users.
 */
export class PushEvent {
  readonly event: JsonObject
  readonly #lowered = new Map<string, string | undefined>()

  constructor(event: JsonObject) {
    this.event = event
  }

  /** The property at a path, if there is one; lists are not gone into. */
  property(path: readonly string[]): Json | undefined {
    let value: Json | undefined = this.event
    for (const name of path) {
      if (!isJsonObject(value)) return undefined
      value = ownValue(value, name)
    }
    return value
  }

  /** The lower-cased text at a path; `undefined` where there is none. */
  loweredText(key: string, path: readonly string[]): string | undefined {
    const known = this.#lowered.get(key)
    if (known !== undefined || this.#lowered.has(key)) return known
    const value = this.property(path)
    const text = typeof value === 'string' ? value.toLowerCase() : undefined
    this.#lowered.set(key, text)
    return text
  }
}

/**
 * Compiles a condition. One that we do not know, or that is malformed, never holds.
 */
export function compileCondition(condition: Json): CompiledCondition {
  if (!isJsonObject(condition)) return never
  switch (condition.kind) {
    case 'event_match':
      return compileEventMatch(condition)
    case 'event_property_is':
      return compilePropertyIs(condition)
    case 'event_property_contains':
      return compilePropertyContains(condition)
    case 'contains_display_name':
      return containsDisplayName
    case 'room_member_count':
      return compileMemberCount(condition)
    case 'sender_notification_permission':
      return compileNotificationPermission(condition)
    case 'room_version_supports':
    case 'org.matrix.msc3931.room_version_supports':
      return compileRoomVersionSupports(condition)
    default:
      return never
  }
}

/**
 * Splits a dot-separated path: `\.` and `\\` stand for a dot and a backslash in a name, other escapes for themselves.
 * Spec: appendices §Dot-separated property paths.
 */
export function parsePropertyPath(key: string): readonly string[] {
  const path: string[] = []
  let name = ''
  for (let i = 0; i < key.length; i += 1) {
    const character = key.charAt(i)
    const next = key.charAt(i + 1)
    if (character === '\\' && (next === '.' || next === '\\')) {
      name += next
      i += 1
    } else if (character === '.') {
      path.push(name)
      name = ''
    } else name += character
  }
  path.push(name)
  return path
}

function compileEventMatch({ key, pattern }: JsonObject): CompiledCondition {
  if (typeof key !== 'string' || typeof pattern !== 'string') return never
  const path = parsePropertyPath(key)
  const glob = compileGlob(pattern.toLowerCase())
  const matches = path.length === 2 && path[0] === 'content' && path[1] === 'body' ? glob.matchesWords : glob.matches
  return (event) => {
    const text = event.loweredText(key, path)
    return text !== undefined && matches(text)
  }
}

function compilePropertyIs({ key, value }: JsonObject): CompiledCondition {
  if (typeof key !== 'string' || !isSimple(value)) return never
  const path = parsePropertyPath(key)
  return (event) => event.property(path) === value
}

function compilePropertyContains({ key, value }: JsonObject): CompiledCondition {
  if (typeof key !== 'string' || !isSimple(value)) return never
  const path = parsePropertyPath(key)
  return (event) => {
    const list = event.property(path)
    return Array.isArray(list) && list.includes(value)
  }
}

/** A string, an integer that JSON can carry, a boolean or `null`. */
function isSimple(value: Json | undefined): value is string | number | boolean | null {
  if (typeof value === 'number') return Number.isSafeInteger(value)
  return value === null || typeof value === 'string' || typeof value === 'boolean'
}

const BODY_PATH: readonly string[] = ['content', 'body']

const containsDisplayName: CompiledCondition = (event, { displayName }) => {
  if (!displayName) return false
  const body = event.loweredText('content.body', BODY_PATH)
  return body !== undefined && containsWords(body, displayName.toLowerCase())
}

const MEMBER_COUNT = /^(==|<=|>=|<|>)?(\d{1,15})$/

function compileMemberCount({ is }: JsonObject): CompiledCondition {
  const parts = typeof is === 'string' ? MEMBER_COUNT.exec(is) : null
  if (!parts) return never
  const count = Number(parts[2])
  switch (parts[1]) {
    case '<':
      return (_event, { memberCount }) => memberCount < count
    case '>':
      return (_event, { memberCount }) => memberCount > count
    case '<=':
      return (_event, { memberCount }) => memberCount <= count
    case '>=':
      return (_event, { memberCount }) => memberCount >= count
    default:
      return (_event, { memberCount }) => memberCount === count
  }
}

function compileNotificationPermission({ key }: JsonObject): CompiledCondition {
  if (typeof key !== 'string') return never
  return (_event, { senderPower, notificationLevels }) => {
    const level = ownValue(notificationLevels, key)
    // Room versions before 10 also take levels that are written as strings.
    const needed = typeof level === 'string' && /^\s*[+-]?\d{1,15}\s*$/.test(level) ? Number(level) : level
    return senderPower >= (typeof needed === 'number' ? needed : DEFAULT_NOTIFICATION_LEVEL)
  }
}

function compileRoomVersionSupports({ feature }: JsonObject): CompiledCondition {
  if (typeof feature !== 'string') return never
  return (_event, { roomVersionFeatures }) => roomVersionFeatures?.has(feature) ?? false
}
