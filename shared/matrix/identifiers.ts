/**
 * The grammars of Matrix identifiers. Spec: appendices §Identifier Grammar.
 *
 * Two sets of functions: `is…` follow the specification's letter for what others may use (so historical user IDs pass),
 * `isNew…` are stricter and meant for what we make ourselves. Nothing here throws.
 */
import { isServerName } from './server-name.ts'

export { isIpv4Literal, isIpv6Literal, isServerName, parseServerName } from './server-name.ts'

/** The longest user ID, room ID, event ID or room alias, in bytes of UTF-8, sigil and domain included. */
export const MAX_ID_BYTES = 255

/** An identifier of the form `&localpart:domain`, without its sigil. */
export interface IdentifierParts {
  readonly localpart: string
  /** The server name that stands behind the first colon. */
  readonly serverName: string
}

const MAX_ROOM_VERSION_LENGTH = 32
const NEW_LOCALPART = /^[a-z0-9._=/+-]+$/
const COMPLIANT_LOCALPART = /^[\x21-\x39\x3b-\x7e]+$/
const NAMESPACED = /^[a-z][a-z0-9._-]{0,254}$/
const OPAQUE = /^[0-9A-Za-z._~-]{1,255}$/
const ROOM_VERSION = /^[a-z0-9.-]+$/
const MEDIA_ID = /^[0-9A-Za-z_-]{1,255}$/
const HASH_ID = /^[0-9A-Za-z+/_-]{43}$/
const URL_SAFE_HASH_ID = /^[0-9A-Za-z_-]{43}$/
const KEY_NAME = /^[0-9A-Za-z_]+$/
const ALGORITHM = /^[0-9a-z_.-]+$/

/** How many bytes the text takes in UTF-8. A lone surrogate counts as the 3 bytes of U+FFFD. */
export function utf8ByteLength(text: string): number {
  let bytes = text.length
  for (let i = 0; i < text.length; i += 1) {
    const unit = text.charCodeAt(i)
    if (unit < 0x80) continue
    if (unit < 0x800) bytes += 1
    else if (unit >= 0xd800 && unit <= 0xdbff && isLowSurrogate(text.charCodeAt(i + 1))) {
      bytes += 2
      i += 1
    } else bytes += 2
  }
  return bytes
}

const isLowSurrogate = (unit: number): boolean => unit >= 0xdc00 && unit <= 0xdfff

function fitsInBytes(text: string, limit: number): boolean {
  if (text.length > limit) return false
  return text.length * 3 <= limit || utf8ByteLength(text) <= limit
}

function parseWithDomain(sigil: string, id: string): IdentifierParts | undefined {
  if (id[0] !== sigil || !fitsInBytes(id, MAX_ID_BYTES)) return undefined
  const colon = id.indexOf(':')
  if (colon === -1) return undefined
  const localpart = id.slice(1, colon)
  const serverName = id.slice(colon + 1)
  if (localpart.includes('\0') || !localpart.isWellFormed() || !isServerName(serverName)) return undefined
  return { localpart, serverName }
}

/**
 * A user ID as servers must accept it from others: the historical grammar, in which the localpart is any text without `:`,
 * NUL and lone surrogates, even empty. Spec: appendices §Historical User IDs.
 */
export function parseUserId(id: string): IdentifierParts | undefined {
  return parseWithDomain('@', id)
}

export function isUserId(id: string): boolean {
  return parseUserId(id) !== undefined
}

/**
 * Whether the user ID may be shown to clients outside of an event: its localpart is not empty and within U+0021 to U+007E.
 * Spec: appendices §Historical User IDs.
 */
export function isCompliantUserId(id: string): boolean {
  const parts = parseUserId(id)
  return parts !== undefined && COMPLIANT_LOCALPART.test(parts.localpart)
}

/** A user ID of the current grammar; what a server may give to a new account. Spec: appendices §User Identifiers. */
export function isNewUserId(id: string): boolean {
  const parts = parseUserId(id)
  return parts !== undefined && NEW_LOCALPART.test(parts.localpart)
}

/** Whether `@localpart:serverName` would be a user ID of the current grammar. */
export function isNewLocalpart(localpart: string, serverName: string): boolean {
  return isNewUserId(`@${localpart}:${serverName}`)
}

/**
 * The server name of a user ID, room alias, or of a room or event ID that has one: all behind the first colon.
 * Does not check the identifier; for ones that passed `is…` or the event format.
 *
 * @returns `''` where there is no colon, as in room IDs of version 12
 */
export function serverNameOf(id: string): string {
  const colon = id.indexOf(':')
  return colon === -1 ? '' : id.slice(colon + 1)
}

/** The part between sigil and first colon, unchecked like `serverNameOf`. */
export function localpartOf(id: string): string {
  const colon = id.indexOf(':')
  return id.slice(1, colon === -1 ? undefined : colon)
}

/** A room alias: `#`, any text without `:`, NUL and lone surrogates, `:`, server name. Spec: appendices §Room Aliases. */
export function parseRoomAlias(id: string): IdentifierParts | undefined {
  return parseWithDomain('#', id)
}

export function isRoomAlias(id: string): boolean {
  return parseRoomAlias(id) !== undefined
}

/** A room ID of room versions 1 to 11. Spec: appendices §Room IDs. */
export function isRoomIdWithDomain(id: string): boolean {
  return parseWithDomain('!', id) !== undefined
}

/** A room ID of room version 12 and later: `!` and the create event's reference hash. */
export function isRoomIdOfHash(id: string): boolean {
  return id[0] === '!' && URL_SAFE_HASH_ID.test(id.slice(1))
}

/** A room ID of any room version. */
export function isRoomId(id: string): boolean {
  return isRoomIdOfHash(id) || isRoomIdWithDomain(id)
}

/** An event ID of room versions 1 and 2: `$`, text that its server chose, `:`, server name. */
export function isEventIdWithDomain(id: string): boolean {
  return parseWithDomain('$', id) !== undefined
}

/** An event ID of room version 3 (`+` and `/`) or of 4 and later (`-` and `_`): `$` and 43 characters of base64. */
export function isEventIdOfHash(id: string): boolean {
  return id[0] === '$' && HASH_ID.test(id.slice(1))
}

/** An event ID of any room version. Spec: appendices §Event IDs. */
export function isEventId(id: string): boolean {
  return isEventIdOfHash(id) || isEventIdWithDomain(id)
}

/**
 * Text that may stand for a room or event in a request: the sigil, then at least one character that is neither NUL nor a
 * lone surrogate, 255 bytes at most. Clients must treat these identifiers as opaque, so we do not turn down one that merely
 * cannot exist; it will not be found.
 */
export function isOpaqueId(sigil: '!' | '$', id: string): boolean {
  return id[0] === sigil && id.length > 1 && fitsInBytes(id, MAX_ID_BYTES) && !id.includes('\0') && id.isWellFormed()
}

/** A room version's identifier, known or not: 1 to 32 of `a-z`, `0-9`, `.` and `-`. Spec: rooms §Room version grammar. */
export function isRoomVersionId(version: string): boolean {
  return version.length <= MAX_ROOM_VERSION_LENGTH && ROOM_VERSION.test(version)
}

/** Spec: appendices §Common Namespaced Identifier Grammar. */
export function isNamespacedIdentifier(id: string): boolean {
  return NAMESPACED.test(id)
}

/** Spec: appendices §Opaque Identifiers. */
export function isOpaqueIdentifier(id: string): boolean {
  return OPAQUE.test(id)
}

/**
 * A device ID. The specification leaves them opaque, so only what would break us is refused: empty, longer than 255 bytes,
 * lone surrogates, control characters. Those that we make are upper-case letters and digits.
 */
export function isDeviceId(id: string): boolean {
  if (id.length === 0 || !fitsInBytes(id, MAX_ID_BYTES) || !id.isWellFormed()) return false
  for (let i = 0; i < id.length; i += 1) {
    const unit = id.charCodeAt(i)
    if (unit < 0x20 || unit === 0x7f) return false
  }
  return true
}

/** A key's ID taken apart: `algorithm:name`. */
export interface KeyIdParts {
  readonly algorithm: string
  readonly name: string
}

/**
 * A key ID of any kind: a device's (`curve25519:DEVICE`), a one-time key's (`signed_curve25519:AAAAHg`), a cross-signing
 * key's (`ed25519:<base64>`). The name is opaque and not empty.
 */
export function parseKeyId(id: string): KeyIdParts | undefined {
  const colon = id.indexOf(':')
  if (colon < 1 || colon === id.length - 1 || !fitsInBytes(id, MAX_ID_BYTES) || !id.isWellFormed()) return undefined
  const algorithm = id.slice(0, colon)
  return ALGORITHM.test(algorithm) ? { algorithm, name: id.slice(colon + 1) } : undefined
}

/** A server's signing key ID: the name is of `A-Z`, `a-z`, `0-9` and `_`. Spec: server-server-api §Publishing Keys. */
export function isServerKeyId(id: string): boolean {
  const parts = parseKeyId(id)
  return parts !== undefined && KEY_NAME.test(parts.name)
}

/** What an `mxc://` URI names. */
export interface MxcParts {
  readonly serverName: string
  readonly mediaId: string
}

/** Spec: client-server-api §Matrix Content (mxc://) URIs. */
export function parseMxcUri(uri: string): MxcParts | undefined {
  if (!uri.startsWith('mxc://')) return undefined
  const slash = uri.indexOf('/', 6)
  if (slash === -1) return undefined
  const serverName = uri.slice(6, slash)
  const mediaId = uri.slice(slash + 1)
  return isServerName(serverName) && isMediaId(mediaId) ? { serverName, mediaId } : undefined
}

export function isMxcUri(uri: string): boolean {
  return parseMxcUri(uri) !== undefined
}

/** The only characters that a media ID may have, so that one can never climb out of a folder. */
export function isMediaId(id: string): boolean {
  return MEDIA_ID.test(id)
}
