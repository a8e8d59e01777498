/** What may be told of a room to those who are not in it. Spec: client-server-api §GET /room_summary/{roomIdOrAlias}. */
import { notFound } from '../../shared/matrix/errors.ts'
import { isOpaqueId } from '../../shared/matrix/identifiers.ts'
import { locateRoom } from './aliases.ts'
import type { Membership } from './contract.ts'
import type { RoomsCore } from './core.ts'
import { isElsewhere } from './elsewhere/outside.ts'
import type { SpacesElsewhere } from './elsewhere/spaces.ts'
import type { RemoteSummary } from './elsewhere/summaries.ts'
import type { OpenRoom } from './open-room.ts'
import type { OpenRooms } from './open-rooms.ts'
import { publicRoomOf } from './published-rooms.ts'
import { meetsCondition } from './set-membership.ts'
import type { RoomSummary } from './shown-outside.ts'
import { historyVisibilityIn } from './visibility.ts'

export const summaryOf = (room: OpenRoom): RoomSummary => {
  const { state, joined } = room.visible
  const algorithm = state.get('m.room.encryption')?.pdu.content.algorithm
  const allowed = allowedRooms(room)
  return {
    ...publicRoomOf(room.roomId, state, joined.size),
    room_version: room.rules.version,
    ...(typeof algorithm === 'string' && { encryption: algorithm }),
    ...(allowed.length > 0 && { allowed_room_ids: allowed }),
  }
}

/** More conditions than these are not told. */
const MAX_ALLOWED = 100

/** The rooms whose members may join a restricted one; none where it is not restricted. */
export function allowedRooms(room: OpenRoom): readonly string[] {
  const { rule, allow } = joinRulesOf(room)
  const isRestricted =
    (rule === 'restricted' && room.rules.restrictedJoins) || (rule === 'knock_restricted' && room.rules.knockRestricted)
  if (!isRestricted || !Array.isArray(allow)) return []
  const ids: string[] = []
  for (const condition of allow.slice(0, MAX_ALLOWED) as readonly unknown[]) {
    const { type, room_id: roomId } = (condition ?? {}) as { readonly type?: unknown; readonly room_id?: unknown }
    if (type === 'm.room_membership' && typeof roomId === 'string' && isOpaqueId('!', roomId)) ids.push(roomId)
  }
  return ids
}

function joinRulesOf(room: OpenRoom): { readonly rule: unknown; readonly allow: unknown } {
  const { join_rule: rule, allow } = room.visible.state.get('m.room.join_rules')?.pdu.content ?? {}
  return { rule, allow }
}

/**
 * Whether a user may know of a room: they are in it or could be, or could ask to be; or everybody may read it.
 * Spec: data/api/client-server/space_hierarchy.yaml, `rooms`.
 */
export async function mayKnow(core: RoomsCore, room: OpenRoom, userId: string): Promise<boolean> {
  const { state } = room.visible
  if (historyVisibilityIn(state.get('m.room.history_visibility')) === 'world_readable') return true
  const membership = await membershipIn(core, room, userId)
  if (membership === 'join' || membership === 'invite' || membership === 'knock') return true
  // They could neither join nor ask.
  if (membership === 'ban') return false
  const { rule, allow } = joinRulesOf(room)
  if (rule === 'public') return true
  if (rule === 'knock') return room.rules.knocking
  if (rule === 'knock_restricted') return room.rules.knockRestricted
  return rule === 'restricted' && room.rules.restrictedJoins && meetsCondition(core, userId, allow)
}

async function membershipIn(core: RoomsCore, room: OpenRoom, userId: string): Promise<Membership> {
  if (room.visible.joined.has(userId)) return 'join'
  return (await core.memberships.find(userId, room.roomId))?.membership ?? 'leave'
}

export interface SummaryWish {
  readonly roomIdOrAlias: string
  readonly userId: string
  /** Servers that may know of the room. */
  readonly via: readonly string[]
}

/**
 * A room by its ID or alias, with the reader's membership. Of one that this server is not in others are asked.
 * @throws MatrixError 404 M_NOT_FOUND, also for a room that the reader may not know of
 */
export async function readSummary(
  core: RoomsCore,
  rooms: OpenRooms,
  elsewhere: SpacesElsewhere,
  { roomIdOrAlias, userId, via }: SummaryWish,
): Promise<RemoteSummary & { readonly membership: Membership }> {
  if (!core.announcer.isCaughtUp) await core.announcer.caughtUp()
  const { roomId, servers } = await locateRoom(core, roomIdOrAlias)
  using held = await rooms.hold(roomId)
  if (isElsewhere(core, held?.room)) {
    const wish = { roomId, userId, via: [...servers, ...via], suggestedOnly: false }
    const found = await elsewhere.find(wish)
    if (found && (await elsewhere.mayKnow(found, userId))) {
      const membership = (await core.memberships.find(userId, roomId))?.membership ?? 'leave'
      return { ...found.summary, membership }
    }
  }
  if (!held || !(await mayKnow(core, held.room, userId))) throw notFound('There is no such room')
  return { ...summaryOf(held.room), membership: await membershipIn(core, held.room, userId) }
}
