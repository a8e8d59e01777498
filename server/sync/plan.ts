/**
 * Which rooms an answer has to look at. Decided in one go, without waiting, so that it is right for one moment.
 */
import type { Membership, MembershipEntry } from '../rooms/index.ts'
import type { Span, Viewer } from './viewer.ts'

export interface RoomPlan {
  readonly joined: readonly MembershipEntry[]
  readonly left: readonly MembershipEntry[]
  readonly invited: readonly MembershipEntry[]
  readonly knocked: readonly MembershipEntry[]
}

/**
 * @param query.forgotten memberships that the user has forgotten: a client that has not heard of the end does so, once
 * @param query.candidates rooms in which something may have happened in the span; `undefined`: any of the memberships
 */
export function planRooms(
  viewer: Viewer,
  span: Span,
  query: {
    readonly memberships: ReadonlyMap<string, MembershipEntry>
    readonly forgotten: ReadonlyMap<string, MembershipEntry> | undefined
    readonly candidates: ReadonlySet<string> | undefined
  },
): RoomPlan {
  const plan = {
    joined: [] as MembershipEntry[],
    left: [] as MembershipEntry[],
    invited: [] as MembershipEntry[],
    knocked: [] as MembershipEntry[],
  }
  const { since, upTo } = span
  const { memberships, forgotten, candidates } = query

  function consider(entry: MembershipEntry): void {
    if (!viewer.filter.passesRoom(entry.roomId)) return
    const isNews = since === null || entry.position > since
    switch (membershipAt(entry, upTo)) {
      case 'join':
        plan.joined.push(entry)
        return
      case 'invite':
        if (isNews && entry.membership === 'invite' && !viewer.ignored.has(entry.sender)) plan.invited.push(entry)
        return
      case 'knock':
        if (isNews && entry.membership === 'knock') plan.knocked.push(entry)
        return
      case 'leave':
      case 'ban':
        // Who is banned from a room that they never had to do with need not hear of it.
        if (entry.position > upTo || entry.previous === null) return
        if (since === null || (viewer.fullState && !isNews) ? viewer.filter.includeLeave : isNews) plan.left.push(entry)
        return
      case null:
        return
    }
  }

  if (candidates === undefined) for (const entry of memberships.values()) consider(entry)
  else {
    for (const roomId of candidates) {
      const entry = memberships.get(roomId)
      if (entry) consider(entry)
    }
  }
  if (since !== null && forgotten) {
    for (const entry of forgotten.values()) {
      if (entry.position > since && !memberships.has(entry.roomId)) consider(entry)
    }
  }
  return plan
}

/** What the user was when all up to that position had happened, as far as the entry can tell: it holds the last two steps. */
function membershipAt(entry: MembershipEntry, position: number): Membership | null {
  return entry.position > position ? entry.previous : entry.membership
}
