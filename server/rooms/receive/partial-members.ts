/**
 * How events are judged in a room whose members are not all known yet. What a state does not name there is not empty but
 * unknown, and an event's own auth events are all that is known of it.
 */
import type { EventLookup } from '../../protocol/auth-rules/index.ts'
import { ownValue } from '../../protocol/json.ts'
import { type IdentifiedPdu, type Pdu, referencedIds } from '../../protocol/pdu.ts'
import type { KeptEvent } from '../event.ts'
import type { StateMap } from '../state-map.ts'

/** The users whose memberships the auth rules ask for. */
function membersAskedFor({ type, sender, state_key: target, content }: Pdu): readonly string[] {
  const voucher = ownValue(content, 'join_authorised_via_users_server')
  if (type !== 'm.room.member' || target === undefined) return [sender]
  return [sender, target, ...(typeof voucher === 'string' ? [voucher] : [])]
}

/**
 * A state with the members that the event needs to be judged.
 *
 * @param eventById knows the event's auth events
 * @returns `undefined` where it must wait until the members are known: what changes the room, or takes something away, is never
 *   let in on its own word. Messages are, and are looked at again then
 */
export function stateToJudgeBy({ pdu }: IdentifiedPdu, eventById: EventLookup, state: StateMap): StateMap | undefined {
  const unknown = membersAskedFor(pdu).filter((userId) => !state.get('m.room.member', userId))
  if (unknown.length === 0) return state
  if (pdu.state_key !== undefined || pdu.type === 'm.room.redaction') return undefined
  let complete = state
  for (const eventId of referencedIds(pdu.auth_events)) {
    const cited = eventById(eventId) as KeptEvent | undefined
    const userId = cited?.pdu.type === 'm.room.member' ? cited.pdu.state_key : undefined
    if (cited && userId !== undefined && unknown.includes(userId))
      complete = complete.with('m.room.member', userId, cited)
  }
  return complete
}
