/**
 * Receipts and typing in an answer of sliding sync. Spec: MSC3960, MSC3961.
 */
import type { Ephemeral } from '../ephemeral/index.ts'
import { isJsonObject } from '../protocol/json.ts'
import type { JsonObject } from '../protocol/pdu.ts'
import { type Choice, isInScope } from './sliding-chosen.ts'
import type { Connection, ToldRooms } from './sliding-connection.ts'
import type { RoomsPart } from './sliding-rooms.ts'
import { scopedRooms, TOLD_NOTHING } from './sliding-scope.ts'
import type { Wish } from './sliding-wish.ts'
import type { Viewer } from './viewer.ts'

interface EphemeralQuery {
  readonly connection: Connection
  readonly wish: Wish
  readonly choice: Choice
  readonly upTo: number
}

/**
 * Of a room that the client knew nothing of only receipts for events in its timeline, and the user's own: a room of thousands
 * has thousands.
 */
export async function receiptsPart(
  { receipts }: Ephemeral,
  viewer: Viewer,
  query: EphemeralQuery & { readonly shown: RoomsPart['shown'] },
): Promise<{ readonly text: string | undefined; readonly told: ToldRooms }> {
  const { connection, wish, choice, upTo, shown } = query
  const scope = wish.extensions.receipts
  if (!scope) return { text: undefined, told: TOLD_NOTHING }
  const { position } = connection
  const { rooms, told } = scopedRooms(connection, connection.receipts, {
    scope,
    wish,
    choice,
    hasNews: (roomId) => position !== null && receipts.lastChange(roomId) > position,
  })
  const texts: string[] = []
  for (const { roomId, room, since } of rooms) {
    if (room.entry.membership !== 'join') continue
    const events = await receipts.eventsSince({
      roomId,
      viewer: viewer.userId,
      since: since ?? 0,
      upTo,
      hidden: viewer.ignored,
    })
    if (events.length === 0) continue
    const result = shown.get(roomId)
    const isPart = since === null && result?.isInitial === true
    const content = joinedReceipts(events, (eventId, userId) => {
      return !isPart || userId === viewer.userId || result.timeline.has(eventId)
    })
    if (Object.keys(content).length > 0) {
      texts.push(`${JSON.stringify(roomId)}:${JSON.stringify({ type: 'm.receipt', content })}`)
    }
  }
  return { text: texts.length === 0 ? undefined : `{"rooms":{${texts.join(',')}}}`, told }
}

/** One content of several. Where a user has read up to one event in two ways, the one without a thread says more. */
function joinedReceipts(events: readonly string[], isWanted: (eventId: string, userId: string) => boolean): JsonObject {
  const joined = new Map<string, Map<string, Map<string, JsonObject>>>()
  for (const event of events) {
    const { content } = JSON.parse(event) as { readonly content: Record<string, Record<string, JsonObject>> }
    for (const [eventId, byType] of Object.entries(content)) {
      for (const [type, byUser] of Object.entries(byType)) {
        for (const [userId, mark] of Object.entries(byUser)) {
          if (!isJsonObject(mark) || !isWanted(eventId, userId)) continue
          const ofEvent = joined.get(eventId) ?? new Map<string, Map<string, JsonObject>>()
          const ofType = ofEvent.get(type) ?? new Map<string, JsonObject>()
          joined.set(eventId, ofEvent.set(type, ofType))
          if (!ofType.has(userId) || mark.thread_id === undefined) ofType.set(userId, mark)
        }
      }
    }
  }
  const entries = [...joined].map(([eventId, ofEvent]) => {
    const types = [...ofEvent].map(([type, ofType]) => [type, Object.fromEntries(ofType)])
    return [eventId, Object.fromEntries(types)] as const
  })
  return Object.fromEntries(entries) as JsonObject
}

/** What lists of those who type are not what the client was told last. */
export function typingPart(
  { typing }: Ephemeral,
  viewer: Viewer,
  { connection, wish, choice }: EphemeralQuery,
): { readonly text: string | undefined; readonly told: ReadonlyMap<string, string> } {
  const scope = wish.extensions.typing
  if (!scope) return { text: undefined, told: new Map() }
  const told = new Map(connection.typing)
  const texts: string[] = []
  for (const roomId of new Set([...typing.roomsInUse(), ...told.keys()])) {
    const room = choice.rooms.get(roomId)
    if (room?.entry.membership !== 'join' || !isInScope(scope, wish, roomId, room)) continue
    const users = typing.inRoom(roomId).filter((userId) => !viewer.ignored.has(userId))
    const text = JSON.stringify(users)
    if (text === (told.get(roomId) ?? '[]')) continue
    if (users.length === 0) told.delete(roomId)
    else told.set(roomId, text)
    texts.push(`${JSON.stringify(roomId)}:{"type":"m.typing","content":{"user_ids":${text}}}`)
  }
  return { text: texts.length === 0 ? undefined : `{"rooms":{${texts.join(',')}}}`, told }
}
