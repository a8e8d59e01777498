/**
 * Whose devices a client must look at anew, for clients that do not learn it from `/sync`.
 * Spec: client-server-api §Tracking the device list for a user.
 */
import type { E2eeForReaders } from '../e2ee/index.ts'
import type { RoomsForReaders } from '../rooms/index.ts'
import type { Store } from '../store/index.ts'
import { deviceListsPart } from './device-section.ts'
import { joinedRoomFacts, type RoomFacts } from './joined-room.ts'
import { leftRoomFacts } from './other-rooms.ts'
import { parseToken } from './token.ts'

/** So many rooms are looked at before others get their turn. */
const ROOMS_PER_TURN = 16

export interface KeyChanges {
  readonly changed: readonly string[]
  readonly left: readonly string[]
}

/**
 * Changes after `from`. What came after `to` is told as well: who is in which room is only known as of now, and to look at a
 * device list once too often does no harm.
 * @throws MatrixError 400 M_INVALID_PARAM for what is no token of `/sync`
 */
export async function keyChanges(
  deps: { readonly store: Store; readonly e2ee: E2eeForReaders; readonly rooms: RoomsForReaders },
  userId: string,
  tokens: { readonly from: string; readonly to: string },
): Promise<KeyChanges> {
  const { rooms, store } = deps
  const { position: since } = parseToken(tokens.from)
  parseToken(tokens.to)
  // Positions are seen a moment before the slices have told of them: after this turn of the event loop they have.
  await new Promise((resolve) => setImmediate(resolve))
  const upTo = store.position
  const facts: RoomFacts[] = []
  let turn = 0
  const remembered = await rooms.memberships(userId)
  // A room that was left and forgotten ends the following of its members like any other.
  const all = new Map([...(await rooms.forgottenMemberships(userId)), ...remembered])
  for (const entry of all.values()) {
    turn += 1
    if (turn % ROOMS_PER_TURN === 0) await new Promise((resolve) => setImmediate(resolve))
    if (entry.membership === 'join') {
      if (rooms.lastChange(entry.roomId) > since) facts.push(await joinedRoomFacts(rooms, entry, { since, upTo }))
    } else if (entry.position > since && (entry.membership === 'leave' || entry.membership === 'ban')) {
      facts.push(await leftRoomFacts(rooms, entry, since))
    }
  }
  return deviceListsPart(deps, { userId }, { since, upTo, mayHaveChanged: true, facts })
}
