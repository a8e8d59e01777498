import { isUserId, serverNameOf } from '../../../shared/matrix/identifiers.ts'
import { allow, type Json, type Pdu, reject, type Verdict } from '../pdu.ts'
import { findRoomVersion, type RoomVersionRules } from '../room-versions.ts'

/**
 * Rule 1: events of type `m.room.create`. No state is needed.
 * Spec: rooms/v1, v11 and v12 §Authorization rules, 1.
 */
export function checkCreate(event: Pdu, rules: RoomVersionRules): Verdict {
  // 1.1
  if (event.prev_events.length > 0) return reject('prev_events of a create event is not empty')
  // 1.2
  if (rules.roomIdIsCreateHash) {
    if (event.room_id !== undefined) return reject('room_id is present in a create event')
  } else if (event.room_id === undefined || serverNameOf(event.room_id) !== serverNameOf(event.sender)) {
    return reject("the domain of room_id is not the sender's")
  }
  // 1.3
  const { room_version: roomVersion } = event.content
  if (Object.hasOwn(event.content, 'room_version') && !isKnownVersion(roomVersion)) {
    return reject('content.room_version is not a recognized room version')
  }
  // 1.4, up to version 10
  if (!rules.creatorIsSender && !Object.hasOwn(event.content, 'creator')) return reject('content.creator is missing')
  // 1.4, from version 12 on
  if (rules.privilegedCreators && Object.hasOwn(event.content, 'additional_creators')) {
    return checkAdditionalCreators(event.content.additional_creators)
  }
  // 1.5
  return allow
}

const isKnownVersion = (version: unknown): boolean =>
  typeof version === 'string' && findRoomVersion(version) !== undefined

function checkAdditionalCreators(creators: Json | undefined): Verdict {
  if (!Array.isArray(creators)) return reject('content.additional_creators is not an array')
  const allUserIds = creators.every((creator) => typeof creator === 'string' && isUserId(creator))
  return allUserIds ? allow : reject('content.additional_creators has an entry that is not a user ID')
}
