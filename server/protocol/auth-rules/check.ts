import { serverNameOf } from '../../../shared/matrix/identifiers.ts'
import { roomIdOfCreate } from '../event-id.ts'
import { allow, type Pdu, reject, type Verdict } from '../pdu.ts'
import type { RoomVersionRules } from '../room-versions.ts'
import { checkPowerLevels } from './check-power-levels.ts'
import { checkCreate } from './create.ts'
import { type AuthEnvironment, verifiedOnReceipt } from './environment.ts'
import { checkMember } from './membership.ts'
import type { RoomState } from './room-state.ts'

/**
 * Whether a room's state lets the event be: all the authorization rules but those on `auth_events` (`checkAuthEvents`).
 * The numbers in the comments are those of version 12. Versions 6 to 11 lack rule 2, so that all later rules are one lower;
 * versions 1 to 5 lack it too but have the aliases rule (their number 4) behind rule 4 here (their number 3).
 * Spec: rooms/v1 to v12 §Authorization rules.
 *
 * @param event passed the event format check of its room version; its content may be anything
 */
export function checkAuth(
  event: Pdu,
  state: RoomState,
  rules: RoomVersionRules,
  env: AuthEnvironment = verifiedOnReceipt,
): Verdict {
  // 1
  if (event.type === 'm.room.create') return checkCreate(event, rules)
  const { create } = state
  if (!create) return reject('the room has no create event')
  // 2, from version 12 on
  if (rules.roomIdIsCreateHash && event.room_id !== roomIdOfCreate(create.eventId)) {
    return reject("room_id is not the ID of the room's create event")
  }
  // 4
  const senderServer = serverNameOf(event.sender)
  if (create.pdu.content['m.federate'] === false && senderServer !== serverNameOf(create.pdu.sender)) {
    return reject('sender is of another server, but the room is not federated')
  }
  // Rule 4 of versions 1 to 5
  if (rules.specialAliases && event.type === 'm.room.aliases') return checkAliases(event, senderServer)
  // 5
  if (event.type === 'm.room.member') return checkMember(event, state, rules, env)
  // 6
  if (state.membership(event.sender) !== 'join') return reject('sender is not joined')
  // 7
  if (event.type === 'm.room.third_party_invite') {
    return state.power(event.sender) >= state.powerNeeded('invite')
      ? allow
      : reject('sender has too little power to invite')
  }
  // 8
  if (state.power(event.sender) < state.powerToSend(event.type, event.state_key !== undefined)) {
    return reject(`sender has too little power to send ${event.type}`)
  }
  // 9
  if (event.state_key?.startsWith('@') && event.state_key !== event.sender) {
    return reject('state_key is the ID of another user')
  }
  // 10
  if (event.type === 'm.room.power_levels') return checkPowerLevels(event, state, rules)
  // Rule 11 of versions 1 and 2
  if (rules.redactionsCheckedByAuthRules && event.type === 'm.room.redaction') return checkRedaction(event, state)
  // 11
  return allow
}

/** Rule 4 of versions 1 to 5: events of type `m.room.aliases`. */
function checkAliases(event: Pdu, senderServer: string): Verdict {
  // 4.1
  if (event.state_key === undefined) return reject('state_key is missing')
  // 4.2, 4.3
  return event.state_key === senderServer ? allow : reject("state_key is not the sender's domain")
}

/** Rule 11 of versions 1 and 2: events of type `m.room.redaction`. */
function checkRedaction(event: Pdu, state: RoomState): Verdict {
  // 11.1
  if (state.power(event.sender) >= state.powerNeeded('redact')) return allow
  // 11.2, 11.3
  const { event_id: eventId, redacts } = event
  const sameDomain =
    typeof eventId === 'string' && typeof redacts === 'string' && serverNameOf(eventId) === serverNameOf(redacts)
  return sameDomain ? allow : reject("sender has too little power to redact another server's event")
}
