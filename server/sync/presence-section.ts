/**
 * The presence of others in an answer. Spec: client-server-api §Presence.
 */
import type { Presence } from '../ephemeral/index.ts'
import type { RoomsForReaders } from '../rooms/index.ts'
import type { RoomFacts } from './joined-room.ts'
import type { Span, Viewer } from './viewer.ts'

/** Users in one answer; what does not fit is left out, since presence is only of the moment. */
const MAX_USERS = 500

/** @returns `m.presence` events, as JSON texts */
export async function presenceEvents(
  deps: { readonly presence: Presence; readonly rooms: RoomsForReaders },
  viewer: Viewer,
  query: { readonly span: Span; readonly facts: readonly RoomFacts[] },
): Promise<readonly string[]> {
  const { presence, rooms } = deps
  const { userId } = viewer
  const filter = viewer.filter.presence
  if (filter.passesNothing || !filter.passesType('m.presence')) return []
  const isFirst = query.span.since === null
  const limit = Math.min(filter.limit ?? MAX_USERS, MAX_USERS)
  const texts: string[] = []

  function add(user: string): void {
    const content = presence.contentOf(user)
    if (!content || !filter.passes({ type: 'm.presence', sender: user })) return
    // To a client that knows nothing, whoever has nothing to tell is offline anyway.
    if (isFirst && content.presence === 'offline' && content.status_msg === undefined) return
    texts.push(JSON.stringify({ type: 'm.presence', sender: user, content }))
  }

  const told = new Set<string>()
  for (const user of presence.changedSince(isFirst ? 0 : query.span.sinceSerial)) {
    if (texts.length >= limit) return texts
    if (user !== userId && !(await rooms.shareRoom(userId, user))) continue
    told.add(user)
    add(user)
  }
  for (const { met } of query.facts) {
    for (const user of met) {
      if (texts.length >= limit) return texts
      if (told.has(user)) continue
      told.add(user)
      add(user)
    }
  }
  return texts
}
