/** What other servers say of rooms, as far as it has the shape that clients expect. */
import { isOpaqueId, isRoomAlias } from '../../../shared/matrix/identifiers.ts'
import { isJsonObject } from '../../protocol/json.ts'
import type { Json, JsonObject } from '../../protocol/pdu.ts'
import type { PublicRoom } from '../published-rooms.ts'
import type { RoomSummary } from '../shown-outside.ts'

const MAX_ALLOWED = 100
/** Of events, which these texts come from. */
const MAX_TEXT_LENGTH = 65_536

function textsIn<K extends string>(source: JsonObject, keys: readonly K[]): { readonly [key in K]?: string } {
  const texts: { [key in K]?: string } = {}
  for (const key of keys) {
    const value = source[key]
    if (typeof value === 'string' && value !== '' && value.length <= MAX_TEXT_LENGTH) texts[key] = value
  }
  return texts
}

/** @returns `undefined` for what is no room */
export function publicRoomIn(json: Json | undefined): PublicRoom | undefined {
  if (!isJsonObject(json)) return undefined
  const { room_id: roomId, num_joined_members: joined } = json
  if (typeof roomId !== 'string' || !isOpaqueId('!', roomId)) return undefined
  const { canonical_alias: alias, ...texts } = textsIn(json, [
    'name',
    'topic',
    'canonical_alias',
    'avatar_url',
    'join_rule',
    'room_type',
  ])
  return {
    room_id: roomId,
    num_joined_members: typeof joined === 'number' && Number.isSafeInteger(joined) && joined > 0 ? joined : 0,
    world_readable: json.world_readable === true,
    guest_can_join: json.guest_can_join === true,
    ...texts,
    ...(alias !== undefined && isRoomAlias(alias) && { canonical_alias: alias }),
  }
}

/** With what summaries say besides; the room's version may be missing in those of older servers. */
export type RemoteSummary = Omit<RoomSummary, 'room_version'> & { readonly room_version?: string }

/** @returns `undefined` for what is no room */
export function summaryIn(json: Json | undefined): RemoteSummary | undefined {
  const room = publicRoomIn(json)
  if (!room || !isJsonObject(json)) return undefined
  const { allowed_room_ids: allowed } = json
  // Names of before version 1.15 of the specification.
  const version = json.room_version ?? json['im.nheko.summary.room_version']
  const encryption = json.encryption ?? json['im.nheko.summary.encryption']
  const ids = Array.isArray(allowed)
    ? (allowed as readonly Json[]).filter((id): id is string => typeof id === 'string' && isOpaqueId('!', id))
    : []
  return {
    ...room,
    ...(typeof version === 'string' && version.length <= 255 && { room_version: version }),
    ...(typeof encryption === 'string' && encryption.length <= 255 && { encryption }),
    ...(ids.length > 0 && { allowed_room_ids: ids.slice(0, MAX_ALLOWED) }),
  }
}
