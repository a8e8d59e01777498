/**
 * Which thread an event belongs to. Spec: client-server-api §Threaded read receipts: it has a relation of type `m.thread`,
 * or it relates to an event that is in a thread, over 3 hops at most.
 */
import { isJsonObject, ownValue } from '../protocol/json.ts'
import type { JsonObject } from '../protocol/pdu.ts'
import type { RoomEvent } from '../rooms/index.ts'

/** The main timeline, where thread IDs are asked for. */
export const MAIN_TIMELINE = 'main'
/** What the specification recommends. */
const MAX_HOPS = 3

interface Relation {
  readonly relType: string | undefined
  readonly eventId: string
}

/** The event that a content's `m.relates_to` points at; a bare reply relates to nothing. */
function relationOf(content: JsonObject): Relation | undefined {
  const relates = ownValue(content, 'm.relates_to')
  if (!isJsonObject(relates)) return undefined
  const eventId = ownValue(relates, 'event_id')
  const relType = ownValue(relates, 'rel_type')
  if (typeof eventId !== 'string') return undefined
  return { eventId, relType: typeof relType === 'string' ? relType : undefined }
}

type Find = (eventId: string) => Promise<RoomEvent | undefined>

/**
 * The thread that the event is in: the thread root's event ID, or `main`. Thread roots are in the main timeline.
 * Events that relate to nothing, most by far, are answered without waiting.
 */
export function threadOf(event: RoomEvent, find: Find): string | Promise<string> {
  const relation = relationOf(event.pdu.content)
  if (relation === undefined) return MAIN_TIMELINE
  if (relation.relType === 'm.thread') return relation.eventId
  return threadOfParent(relation, find)
}

async function threadOfParent(first: Relation, find: Find): Promise<string> {
  let relation = first
  for (let hop = 0; hop < MAX_HOPS; hop += 1) {
    const parent = await find(relation.eventId)
    const next = parent && relationOf(parent.pdu.content)
    if (!next) return MAIN_TIMELINE
    if (next.relType === 'm.thread') return next.eventId
    relation = next
  }
  return MAIN_TIMELINE
}

/**
 * Whether a receipt for this thread may name the event: it is in the thread, or it is the thread's root or relates to that
 * (a client that has shown a thread up to an annotation of its root has read it so far).
 */
export async function fitsThread(event: RoomEvent, threadId: string, find: Find): Promise<boolean> {
  if ((await threadOf(event, find)) === threadId) return true
  if (threadId === MAIN_TIMELINE) return false
  let current: RoomEvent | undefined = event
  for (let hop = 0; hop <= MAX_HOPS && current !== undefined; hop += 1) {
    if (current.eventId === threadId) return true
    const relation = relationOf(current.pdu.content)
    current = relation && (await find(relation.eventId))
  }
  return false
}
