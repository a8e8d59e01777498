import { isJsonObject } from '../json.ts'
import { allow, type Json, type JsonObject, type Pdu, reject, type Verdict } from '../pdu.ts'
import { isSignedByAny } from '../signing.ts'
import type { RoomState } from './room-state.ts'

/**
 * Rule 5.4.1: an invite that a third-party invite gives the right to.
 * Spec: rooms/v12 §Authorization rules, 5.4.1 (4.4.1 in v8 to v11, 4.3.1 in v6 and v7, 5.3.1 before).
 */
export function checkThirdPartyInvite(event: Pdu & { readonly state_key: string }, state: RoomState): Verdict {
  // 5.4.1.1
  if (state.membership(event.state_key) === 'ban') return reject('state_key is a user who is banned')
  // 5.4.1.2
  const { third_party_invite: invite } = event.content
  if (!isJsonObject(invite) || !isJsonObject(invite.signed))
    return reject('content.third_party_invite.signed is missing')
  // 5.4.1.3
  const { signed } = invite
  if (typeof signed.mxid !== 'string') return reject('content.third_party_invite.signed.mxid is missing')
  if (typeof signed.token !== 'string') return reject('content.third_party_invite.signed.token is missing')
  // 5.4.1.4
  if (signed.mxid !== event.state_key) return reject('content.third_party_invite.signed.mxid is not the state_key')
  // 5.4.1.5
  const offer = state.find('m.room.third_party_invite', signed.token)?.pdu
  if (!offer) return reject('content.third_party_invite.signed.token is not of a third-party invite of the room')
  // 5.4.1.6
  if (offer.sender !== event.sender) return reject('sender is not who sent the third-party invite')
  // 5.4.1.7, 5.4.1.8
  return isSignedByAny(signed, publicKeysOf(offer.content))
    ? allow
    : reject('content.third_party_invite.signed is not signed by a key of the third-party invite')
}

/** 5.4.1.7.1 and 5.4.1.7.2 */
function publicKeysOf(content: JsonObject): readonly string[] {
  const keys: string[] = []
  if (typeof content.public_key === 'string') keys.push(content.public_key)
  if (Array.isArray(content.public_keys)) {
    for (const entry of content.public_keys as readonly Json[]) {
      if (isJsonObject(entry) && typeof entry.public_key === 'string') keys.push(entry.public_key)
    }
  }
  return keys
}
