import { forbidden } from '../../shared/matrix/errors.ts'
import type { RoomsCore } from './core.ts'
import type { OpenRoom } from './open-room.ts'
import { stateOfGroup } from './resolve.ts'
import type { StateMap } from './state-map.ts'
import { historyVisibilityIn } from './visibility.ts'

/** As what a user reads a room, and up to where. */
export interface Access {
  readonly as: 'member' | 'formerMember' | 'passerBy'
  /** The room's state as they may know it: now, or when they left. */
  readonly state: StateMap
  /** They see no event of this order or later. */
  readonly until: number
}

/**
 * Whether and how a user may read a room: those in it, those who were in it and have not forgotten it, and anybody where its
 * history is readable by the world. Spec: client-server-api §Getting events for a room, §Room previews.
 *
 * @throws MatrixError 403 M_FORBIDDEN
 */
export async function requireAccess(core: RoomsCore, room: OpenRoom, userId: string): Promise<Access> {
  const { visible } = room
  const now = { state: visible.state, until: visible.latestOrder + 1 }
  if (visible.joined.has(userId)) return { as: 'member', ...now }
  if (historyVisibilityIn(visible.state.get('m.room.history_visibility')) === 'world_readable') {
    return { as: 'passerBy', ...now }
  }
  const membership = await core.memberships.find(userId, room.roomId)
  if (membership?.isForgotten || membership?.leftGroup == null || membership.leftOrder === null) {
    throw forbidden('You are not in this room')
  }
  return {
    as: 'formerMember',
    state: await stateOfGroup(room, membership.leftGroup),
    until: membership.leftOrder + 1,
  }
}
