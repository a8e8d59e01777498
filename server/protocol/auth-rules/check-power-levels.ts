import { isUserId } from '../../../shared/matrix/identifiers.ts'
import { allow, type Pdu, reject, type Verdict } from '../pdu.ts'
import type { RoomVersionRules } from '../room-versions.ts'
import { checkLevelsReadable, checkMapReadable, readPowerLevels } from './power-levels.ts'
import type { RoomState } from './room-state.ts'

/**
 * Rule 10: events of type `m.room.power_levels`. The numbers below are those of version 12.
 * Spec: rooms/v1, v6, v10 and v12 §Authorization rules.
 */
export function checkPowerLevels(event: Pdu, state: RoomState, rules: RoomVersionRules): Verdict {
  // 10.1, 10.2
  const readable = checkLevelsReadable(event.content, rules)
  if (!readable.ok) return readable
  // 10.3, 10.4
  const users = checkUsers(event, state, rules)
  if (!users.ok) return users
  // 10.5
  const current = state.find('m.room.power_levels', '')?.pdu
  if (!current) return allow
  const power = state.power(event.sender)
  const before = readPowerLevels(current, rules)
  const after = readPowerLevels(event, rules)
  // 10.6
  const levels = checkAlterations('', before.levels, after.levels, power)
  if (!levels.ok) return levels
  // 10.7, 10.8
  const events = checkAlterations('events ', before.events, after.events, power)
  if (!events.ok) return events
  if (rules.checkNotificationLevels) {
    const notifications = checkAlterations('notifications ', before.notifications, after.notifications, power)
    if (!notifications.ok) return notifications
  }
  // 10.9: nobody alters the level of an equal, or of anybody above
  for (const [userId, level] of before.users) {
    if (userId !== event.sender && level >= power && after.users.get(userId) !== level) {
      return reject(`content.users alters ${userId}, who has no less power than the sender`)
    }
  }
  // 10.10
  for (const [userId, level] of after.users) {
    if (level > power && before.users.get(userId) !== level) {
      return reject(`content.users gives ${userId} more power than the sender has`)
    }
  }
  return allow
}

/** Rules 10.3 and 10.4: whom `content.users` may name. */
function checkUsers(event: Pdu, state: RoomState, rules: RoomVersionRules): Verdict {
  const readable = checkMapReadable(event.content, 'users', rules)
  if (!readable.ok) return readable
  for (const userId of readPowerLevels(event, rules).users.keys()) {
    if (!isUserId(userId)) return reject('content.users has a key that is not a user ID')
    // 10.4, from version 12 on
    if (rules.privilegedCreators && state.creators.has(userId)) return reject('content.users names a room creator')
  }
  return allow
}

/** Nothing above the sender's own power may be added, removed or changed, in either direction. */
function checkAlterations(
  what: '' | 'events ' | 'notifications ',
  before: ReadonlyMap<string, number>,
  after: ReadonlyMap<string, number>,
  power: number,
): Verdict {
  for (const [name, level] of before) {
    if (level > power && after.get(name) !== level) {
      return reject(`content alters the ${what}level of ${name}, which is above the sender's power`)
    }
  }
  for (const [name, level] of after) {
    if (level > power && before.get(name) !== level) {
      return reject(`content sets the ${what}level of ${name} above the sender's power`)
    }
  }
  return allow
}
