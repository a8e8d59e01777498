import { isUserId, serverNameOf } from '../../../shared/matrix/identifiers.ts'
import { allow, type Pdu, referencedIds, reject, type Verdict } from '../pdu.ts'
import type { RoomVersionRules } from '../room-versions.ts'
import type { AuthEnvironment } from './environment.ts'
import type { RoomState } from './room-state.ts'
import { checkThirdPartyInvite } from './third-party-invite.ts'

type MemberPdu = Pdu & { readonly state_key: string }

const hasStateKey = (event: Pdu): event is MemberPdu => event.state_key !== undefined

/**
 * Rule 5: events of type `m.room.member`. The numbers below are those of version 12; from version 6 to 11 the rule is
 * number 4, and before version 8 it has no 5.2, so that 5.3 to 5.8 are one lower.
 * Spec: rooms/v1, v7, v8, v10 and v12 §Authorization rules.
 */
export function checkMember(event: Pdu, state: RoomState, rules: RoomVersionRules, env: AuthEnvironment): Verdict {
  // 5.1
  if (!hasStateKey(event)) return reject('state_key is missing')
  if (!Object.hasOwn(event.content, 'membership')) return reject('content.membership is missing')
  // 5.2, from version 8 on
  const authorisation = rules.restrictedJoins ? checkAuthorisingServer(event, env) : allow
  if (!authorisation.ok) return authorisation
  switch (event.content.membership) {
    case 'join': // 5.3
      return checkJoin(event, state, rules)
    case 'invite': // 5.4
      return checkInvite(event, state)
    case 'leave': // 5.5
      return checkLeave(event, state, rules)
    case 'ban': // 5.6
      return checkBan(event, state)
    case 'knock': // 5.7, from version 7 on
      return rules.knocking ? checkKnock(event, state, rules) : reject('content.membership is unknown')
    default: // 5.8
      return reject('content.membership is unknown')
  }
}

/** Rule 5.2: the server that vouches for a restricted join has signed it. */
function checkAuthorisingServer(event: MemberPdu, env: AuthEnvironment): Verdict {
  if (!Object.hasOwn(event.content, 'join_authorised_via_users_server')) return allow
  const { join_authorised_via_users_server: user } = event.content
  if (typeof user !== 'string' || !isUserId(user)) {
    return reject('content.join_authorised_via_users_server is not a user ID')
  }
  return env.isSignedBy(event, serverNameOf(user))
    ? allow
    : reject('signatures has none of the server in content.join_authorised_via_users_server')
}

/** Rule 5.3: a user joins. */
function checkJoin(event: MemberPdu, state: RoomState, rules: RoomVersionRules): Verdict {
  // 5.3.1
  if (isFirstAfterCreate(event, state) && event.state_key === state.creator) return allow
  // 5.3.2
  if (event.sender !== event.state_key) return reject('sender is not the state_key of the join')
  // 5.3.3
  const membership = state.membership(event.sender)
  if (membership === 'ban') return reject('sender is banned')
  const isInside = membership === 'join' || membership === 'invite'
  const { joinRule } = state
  // 5.3.4
  if (joinRule === 'invite' || (rules.knocking && joinRule === 'knock')) {
    return isInside ? allow : reject('sender is neither invited nor joined')
  }
  // 5.3.5, from version 8 on
  if (isRestricted(joinRule, rules)) return isInside ? allow : checkAuthorisingUser(event, state)
  // 5.3.6
  if (joinRule === 'public') return allow
  // 5.3.7
  return reject('the join_rule of the room lets nobody join')
}

function isFirstAfterCreate(event: MemberPdu, state: RoomState): boolean {
  if (event.prev_events.length !== 1) return false
  return referencedIds(event.prev_events)[0] === state.create?.eventId
}

const isRestricted = (joinRule: string, rules: RoomVersionRules): boolean =>
  (rules.restrictedJoins && joinRule === 'restricted') || (rules.knockRestricted && joinRule === 'knock_restricted')

/** Rules 5.3.5.2 and 5.3.5.3. That the user's server agrees was rule 5.2. */
function checkAuthorisingUser(event: MemberPdu, state: RoomState): Verdict {
  const { join_authorised_via_users_server: user } = event.content
  if (typeof user !== 'string') return reject('content.join_authorised_via_users_server is missing')
  if (state.membership(user) !== 'join') return reject('content.join_authorised_via_users_server is not joined')
  return state.power(user) >= state.powerNeeded('invite')
    ? allow
    : reject('content.join_authorised_via_users_server has too little power to invite')
}

/** Rule 5.4: a user invites another. */
function checkInvite(event: MemberPdu, state: RoomState): Verdict {
  // 5.4.1 third-party invites have rules of their own
  if (Object.hasOwn(event.content, 'third_party_invite')) return checkThirdPartyInvite(event, state)
  // 5.4.2
  if (state.membership(event.sender) !== 'join') return reject('sender is not joined')
  // 5.4.3
  const target = state.membership(event.state_key)
  if (target === 'join') return reject('state_key is a user who is joined already')
  if (target === 'ban') return reject('state_key is a user who is banned')
  // 5.4.4, 5.4.5
  return state.power(event.sender) >= state.powerNeeded('invite')
    ? allow
    : reject('sender has too little power to invite')
}

/** Rule 5.5: a user leaves, takes back a knock, or declines; or is kicked, unbanned or uninvited by another. */
function checkLeave(event: MemberPdu, state: RoomState, rules: RoomVersionRules): Verdict {
  const senderMembership = state.membership(event.sender)
  // 5.5.1
  if (event.sender === event.state_key) {
    const mayLeave =
      senderMembership === 'invite' || senderMembership === 'join' || (rules.knocking && senderMembership === 'knock')
    return mayLeave ? allow : reject('sender is not in the room, so cannot leave it')
  }
  // 5.5.2
  if (senderMembership !== 'join') return reject('sender is not joined')
  // 5.5.3
  const power = state.power(event.sender)
  if (state.membership(event.state_key) === 'ban' && power < state.powerNeeded('ban')) {
    return reject('sender has too little power to unban')
  }
  // 5.5.4, 5.5.5
  if (power < state.powerNeeded('kick')) return reject('sender has too little power to kick')
  return state.power(event.state_key) < power ? allow : reject('sender has no more power than the user to be kicked')
}

/** Rule 5.6: a user bans another. */
function checkBan(event: MemberPdu, state: RoomState): Verdict {
  // 5.6.1
  if (state.membership(event.sender) !== 'join') return reject('sender is not joined')
  // 5.6.2, 5.6.3
  const power = state.power(event.sender)
  if (power < state.powerNeeded('ban')) return reject('sender has too little power to ban')
  return state.power(event.state_key) < power ? allow : reject('sender has no more power than the user to be banned')
}

/** Rule 5.7: a user asks to be let in. */
function checkKnock(event: MemberPdu, state: RoomState, rules: RoomVersionRules): Verdict {
  // 5.7.1
  const { joinRule } = state
  if (joinRule !== 'knock' && !(rules.knockRestricted && joinRule === 'knock_restricted')) {
    return reject('the join_rule of the room does not let users knock')
  }
  // 5.7.2
  if (event.sender !== event.state_key) return reject('sender is not the state_key of the knock')
  // 5.7.3, 5.7.4
  const membership = state.membership(event.sender)
  const mayKnock = membership !== 'ban' && membership !== 'invite' && membership !== 'join'
  return mayKnock ? allow : reject('sender is banned, invited or joined already')
}
