import type { Pdu } from '../pdu.ts'
import type { RoomVersionRules } from '../room-versions.ts'

const NOBODY: ReadonlySet<string> = new Set()
const creatorsKnown = new WeakMap<Pdu, ReadonlySet<string>>()

/**
 * Who made the room: the create event's sender, or `content.creator` in room versions before 11.
 * Spec: rooms/v11 §Remove the creator property.
 */
export function creatorOf(create: Pdu, rules: RoomVersionRules): string | undefined {
  if (rules.creatorIsSender) return create.sender
  return typeof create.content.creator === 'string' ? create.content.creator : undefined
}

/**
 * The room creators: `creatorOf`, and from room version 12 on `content.additional_creators`.
 * Spec: rooms/v12 §Authorization rules (note on room creators).
 */
export function creatorsOf(create: Pdu | undefined, rules: RoomVersionRules): ReadonlySet<string> {
  if (!create) return NOBODY
  const before = creatorsKnown.get(create)
  if (before) return before
  const creators = new Set<string>()
  const creator = creatorOf(create, rules)
  if (creator !== undefined) creators.add(creator)
  const additional = create.content.additional_creators
  if (rules.privilegedCreators && Array.isArray(additional)) {
    for (const userId of additional) if (typeof userId === 'string') creators.add(userId)
  }
  creatorsKnown.set(create, creators)
  return creators
}
