/**
 * What differs between room versions, as switches that the rules read by name.
 * Spec: rooms/v1 to rooms/v12. Each version is the one before plus what it changed.
 */
export interface RoomVersionRules {
  readonly version: string
  /** `inEvent`: an ID made by the sender (v1, v2). `hash`: `$` + reference hash, standard base64 (v3). `hashUrlSafe`: URL-safe (v4 on). */
  readonly eventIds: 'inEvent' | 'hash' | 'hashUrlSafe'
  readonly stateResolution: 'v1' | 'v2' | 'v2.1'
  /** v5 on: a signing key must have been valid at the event's `origin_server_ts`. */
  readonly strictKeyValidity: boolean
  /** v6 on: only canonical JSON (integers in ±(2^53−1), no floats); below, floats and large integers are tolerated. */
  readonly strictCanonicalJson: boolean
  /** Before v6: `m.room.aliases` has an auth rule and keeps its `aliases` when redacted. */
  readonly specialAliases: boolean
  /** v6 on: auth rule for `notifications` in power levels. */
  readonly checkNotificationLevels: boolean
  /** v1, v2: redactions are checked by auth rules against the event ID's domain. v3 on: when applied. */
  readonly redactionsCheckedByAuthRules: boolean
  readonly knocking: boolean
  readonly restrictedJoins: boolean
  readonly knockRestricted: boolean
  /** v9 on: redaction keeps `join_authorised_via_users_server`. */
  readonly redactionKeepsAuthorisingUser: boolean
  /** v10 on: power levels are integers, never strings. */
  readonly integerPowerLevels: boolean
  /** v11 on: redaction of v11 (keeps all of create, `redacts` in content, no top-level `origin`, …). */
  readonly redactionV11: boolean
  /** v11 on: the creator is the create event's sender, `content.creator` is gone. */
  readonly creatorIsSender: boolean
  /** v12 on: the room's ID is the create event's hash; the create event is not in `auth_events`. */
  readonly roomIdIsCreateHash: boolean
  /** v12 on: creators have infinite power, and `additional_creators`. */
  readonly privilegedCreators: boolean
}

const V1: RoomVersionRules = {
  version: '1',
  eventIds: 'inEvent',
  stateResolution: 'v1',
  strictKeyValidity: false,
  strictCanonicalJson: false,
  specialAliases: true,
  checkNotificationLevels: false,
  redactionsCheckedByAuthRules: true,
  knocking: false,
  restrictedJoins: false,
  knockRestricted: false,
  redactionKeepsAuthorisingUser: false,
  integerPowerLevels: false,
  redactionV11: false,
  creatorIsSender: false,
  roomIdIsCreateHash: false,
  privilegedCreators: false,
}
const V2: RoomVersionRules = { ...V1, version: '2', stateResolution: 'v2' }
const V3: RoomVersionRules = { ...V2, version: '3', eventIds: 'hash', redactionsCheckedByAuthRules: false }
const V4: RoomVersionRules = { ...V3, version: '4', eventIds: 'hashUrlSafe' }
const V5: RoomVersionRules = { ...V4, version: '5', strictKeyValidity: true }
const V6: RoomVersionRules = {
  ...V5,
  version: '6',
  strictCanonicalJson: true,
  specialAliases: false,
  checkNotificationLevels: true,
}
const V7: RoomVersionRules = { ...V6, version: '7', knocking: true }
const V8: RoomVersionRules = { ...V7, version: '8', restrictedJoins: true }
const V9: RoomVersionRules = { ...V8, version: '9', redactionKeepsAuthorisingUser: true }
const V10: RoomVersionRules = { ...V9, version: '10', integerPowerLevels: true, knockRestricted: true }
const V11: RoomVersionRules = { ...V10, version: '11', redactionV11: true, creatorIsSender: true }
const V12: RoomVersionRules = {
  ...V11,
  version: '12',
  stateResolution: 'v2.1',
  roomIdIsCreateHash: true,
  privilegedCreators: true,
}

const table: ReadonlyMap<string, RoomVersionRules> = new Map(
  [V1, V2, V3, V4, V5, V6, V7, V8, V9, V10, V11, V12].map((rules) => [rules.version, rules]),
)

export const ROOM_VERSIONS: readonly string[] = [...table.keys()]
/** The version that the specification recommends for new rooms. */
export const DEFAULT_ROOM_VERSION = '12'

export function findRoomVersion(version: string): RoomVersionRules | undefined {
  return table.get(version)
}

/** @throws Error for a version that we do not know; callers check versions of others with `findRoomVersion` first */
export function getRoomVersion(version: string): RoomVersionRules {
  const rules = table.get(version)
  if (!rules) throw new Error(`unknown room version ${version}`)
  return rules
}
