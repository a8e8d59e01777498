import { serverNameOf } from '../../../shared/matrix/identifiers.ts'
import { roomStateOf } from '../../protocol/auth-rules/index.ts'
import { membershipIn } from '../event.ts'
import type { OpenRoom } from '../open-room.ts'

/**
 * Who is taken at their word for the keys of servers that are gone, where one server gives events of a room's past: that
 * server, if one of its joined users may change who has power in the room. Such a server could change the room as it likes
 * anyway; any other could make up a past in which somebody of a dead server gave it that power.
 */
export function vouchersFor(room: OpenRoom, server: string): readonly string[] {
  const { state } = room.head
  const rules = roomStateOf((type, stateKey) => state.get(type, stateKey), room.rules)
  const needed = rules.powerToSend('m.room.power_levels', true)
  for (const [userId, member] of state.ofType('m.room.member')) {
    if (serverNameOf(userId) !== server || membershipIn(member) !== 'join') continue
    if (rules.power(userId) >= needed) return [server]
  }
  return []
}
