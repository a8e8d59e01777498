import { badJson, invalidParam, MatrixError } from '../../shared/matrix/errors.ts'
import { isRoomAlias, isServerName, isUserId, serverNameOf } from '../../shared/matrix/identifiers.ts'
import { isJsonObject } from '../protocol/json.ts'
import type { Json, JsonObject } from '../protocol/pdu.ts'
import type { RoomsCore } from './core.ts'
import { listedAliases } from './elsewhere/aliases.ts'
import type { OpenRoom } from './open-room.ts'
import { isServerAllowed } from './server-acl.ts'
import { aliases } from './store.ts'

interface Setting {
  readonly type: string
  readonly stateKey: string
  readonly content: JsonObject
}

/**
 * Refuses a message that no client can show: one without a `msgtype` or a textual `body`.
 * Spec: client-server-api §Instant messaging, Server behaviour.
 *
 * @throws MatrixError 400 M_BAD_JSON
 */
export function checkMessageContent({ type, content }: Pick<Setting, 'type' | 'content'>): void {
  if (type !== 'm.room.message') return
  requireString(content, 'msgtype')
  requireString(content, 'body')
}

/** More aliases than this in one event are refused before any is looked up. */
const MAX_ALIASES = 100

/**
 * Refuses state that would do harm, or that nobody could make sense of, before it becomes an event. Auth rules come after it.
 * @param leadingHere aliases of other servers that are known to lead to the room
 * @throws MatrixError 400 M_BAD_JSON, M_INVALID_PARAM, M_BAD_ALIAS
 */
export async function checkStateContent(
  core: RoomsCore,
  room: OpenRoom,
  setting: Setting,
  leadingHere: ReadonlySet<string> = new Set(),
): Promise<void> {
  const { type, stateKey, content } = setting
  checkMessageContent(setting)
  switch (type) {
    case 'm.room.power_levels':
      if (stateKey === '') checkPowerLevels(content)
      break
    case 'm.room.history_visibility':
      if (stateKey === '')
        requireOneOf(content, 'history_visibility', ['world_readable', 'shared', 'invited', 'joined'])
      break
    case 'm.room.guest_access':
      if (stateKey === '') requireOneOf(content, 'guest_access', ['can_join', 'forbidden'])
      break
    case 'm.room.join_rules':
      if (stateKey === '') checkJoinRules(content)
      break
    case 'm.room.encryption':
      if (stateKey === '') requireString(content, 'algorithm')
      break
    case 'm.room.name':
      if (stateKey === '') optionalString(content, 'name')
      break
    case 'm.room.topic':
      if (stateKey === '') optionalString(content, 'topic')
      break
    case 'm.room.tombstone':
      if (stateKey === '') optionalString(content, 'replacement_room')
      break
    case 'm.room.server_acl':
      if (stateKey === '') checkServerAcl(core, content)
      break
    case 'm.room.retention':
      if (stateKey === '') checkRetention(content)
      break
    case 'm.room.policy':
      if (stateKey === '') checkPolicy(content)
      break
    case 'm.room.canonical_alias':
      if (stateKey === '') await checkCanonicalAlias(core, room, content, leadingHere)
      break
  }
}

function requireString(content: JsonObject, key: string): string {
  const value = content[key]
  if (typeof value !== 'string') throw badJson(`${key} is not a string`)
  return value
}

/** `null` counts as absent, as the specification has it for what may be unset. */
function optionalString(content: JsonObject, key: string): void {
  const value = content[key]
  if (value !== undefined && value !== null && typeof value !== 'string') throw badJson(`${key} is not a string`)
}

function requireOneOf(content: JsonObject, key: string, allowed: readonly string[]): void {
  if (!allowed.includes(requireString(content, key))) throw badJson(`${key} is none of ${allowed.join(', ')}`)
}

/**
 * Levels are integers in what we send, whatever a room's version would let pass.
 * Spec: server-server-api §Definitions (warning on power levels).
 */
export function checkPowerLevels(content: JsonObject): void {
  for (const key of ['users_default', 'events_default', 'state_default', 'ban', 'redact', 'kick', 'invite']) {
    if (content[key] !== undefined) requireLevel(content[key], key)
  }
  for (const key of ['users', 'events', 'notifications']) {
    const levels = content[key]
    if (levels === undefined) continue
    if (!isJsonObject(levels)) throw badJson(`${key} is not an object`)
    for (const [name, level] of Object.entries(levels)) {
      requireLevel(level, key)
      if (key === 'users' && !isUserId(name)) throw badJson('users has a key that is not a user ID')
    }
  }
}

function requireLevel(level: Json | undefined, key: string): void {
  if (!Number.isSafeInteger(level)) throw badJson(`${key} has a power level that is not an integer`)
}

function checkJoinRules(content: JsonObject): void {
  requireString(content, 'join_rule')
  const { allow } = content
  if (allow === undefined) return
  if (!Array.isArray(allow) || !allow.every(isJsonObject)) throw badJson('allow is not a list of objects')
}

/** Spec: MSC1763. Lifetimes are in milliseconds; without `max_lifetime` the room says nothing. */
function checkRetention({ min_lifetime: min, max_lifetime: max }: JsonObject): void {
  for (const lifetime of [min, max]) {
    if (lifetime === undefined || lifetime === null) continue
    if (!Number.isSafeInteger(lifetime) || (lifetime as number) < 0)
      throw badJson('A lifetime is a number of milliseconds')
  }
  if (typeof min === 'number' && typeof max === 'number' && min > max) {
    throw badJson('min_lifetime is longer than max_lifetime')
  }
}

/** Spec: client-server-api §m.room.policy. Without content the room goes without a policy server. */
function checkPolicy(content: JsonObject): void {
  if (Object.keys(content).length === 0) return
  if (!isServerName(requireString(content, 'via'))) throw badJson('via is not a server name')
  const { public_keys: keys } = content
  if (!isJsonObject(keys)) throw badJson('public_keys is not an object')
  requireString(keys, 'ed25519')
}

/** Spec: client-server-api §m.room.server_acl. One that shuts ourselves out could never be taken back from here. */
function checkServerAcl(core: RoomsCore, content: JsonObject): void {
  for (const key of ['allow', 'deny']) {
    const globs = content[key]
    if (globs !== undefined && !(Array.isArray(globs) && globs.every((glob) => typeof glob === 'string'))) {
      throw badJson(`${key} is not a list of strings`)
    }
  }
  if (!isServerAllowed(core.environment.serverName, content)) throw badJson('The ACL would shut out this server')
}

/** New aliases must be well-formed and lead here; those that were there before may stay. Spec: §m.room.canonical_alias. */
async function checkCanonicalAlias(
  core: RoomsCore,
  room: OpenRoom,
  content: JsonObject,
  leadingHere: ReadonlySet<string>,
): Promise<void> {
  const before = new Set(listedAliases(room.head.state.get('m.room.canonical_alias')?.pdu.content ?? {}))
  const { alias, alt_aliases: others } = content
  if (alias !== undefined && alias !== null && typeof alias !== 'string') throw badJson('alias is not a string')
  if (others !== undefined && !Array.isArray(others)) throw badJson('alt_aliases is not a list')
  if (Array.isArray(others) && others.some((other) => typeof other !== 'string')) {
    throw badJson('alt_aliases has an entry that is not a string')
  }
  const added = listedAliases(content).filter((listed) => !before.has(listed))
  if (added.length > MAX_ALIASES) throw invalidParam(`There are more than ${MAX_ALIASES} new aliases`)
  for (const listed of added) if (!isRoomAlias(listed)) throw invalidParam(`${listed} is not a room alias`)
  for (const listed of added) {
    const isOurs = serverNameOf(listed) === core.environment.serverName
    const leadsHere = isOurs
      ? (await core.store.home.get(aliases, listed))?.roomId === room.roomId
      : leadingHere.has(listed)
    if (!leadsHere) throw new MatrixError('M_BAD_ALIAS', 400, `${listed} does not point to this room`)
  }
}
