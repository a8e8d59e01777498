/** What of an event a search finds. Spec: client-server-api §Server Side Search, the keys of `room_events`. */
import { isJsonObject } from '../protocol/json.ts'
import type { Json } from '../protocol/pdu.ts'
import type { RoomEvent, RoomView } from '../rooms/index.ts'
import type { SearchKey } from './index-file.ts'

const KEYS: Readonly<Record<string, SearchKey>> = {
  'm.room.message': 'content.body',
  'm.room.name': 'content.name',
  'm.room.topic': 'content.topic',
}

export const isSearched = (type: string): boolean => Object.hasOwn(KEYS, type)

export interface Searchable {
  readonly key: SearchKey
  readonly text: string
}

/**
 * @param mayBeEdited where it is known that nobody edited the event, `false` saves looking
 * @returns `undefined` for what is not searched: other events, encrypted and redacted ones, edits by themselves
 */
export async function searchableIn(
  view: RoomView,
  event: RoomEvent,
  mayBeEdited: boolean,
): Promise<Searchable | undefined> {
  const { type, content, state_key: stateKey } = event.pdu
  const key = isSearched(type) ? KEYS[type] : undefined
  if (!key || event.redactedBecause || event.order === null || event.isSoftFailed || event.isRejected) return undefined
  if ((key === 'content.body') !== (stateKey === undefined) || editedBy(event) !== undefined) return undefined
  const edited = mayBeEdited && stateKey === undefined ? await newestText(view, event) : undefined
  const text = edited ?? content[key.slice('content.'.length)]
  return typeof text === 'string' ? { key, text } : undefined
}

/** The event that this one replaces, or means to. */
export function editedBy({ pdu: { content } }: RoomEvent): string | undefined {
  const relatesTo = content['m.relates_to']
  if (!isJsonObject(relatesTo) || relatesTo.rel_type !== 'm.replace') return undefined
  return typeof relatesTo.event_id === 'string' ? relatesTo.event_id : undefined
}

/** The text of the newest valid edit: that which the event's own sender is shown. */
async function newestText(view: RoomView, event: RoomEvent): Promise<Json | undefined> {
  const viewer = { userId: event.pdu.sender, deviceId: null, withRoomId: false, bundles: true }
  const shown = JSON.parse(await view.render(event, viewer)) as Json
  const path = ['unsigned', 'm.relations', 'm.replace', 'content', 'm.new_content', 'body']
  return path.reduce<Json | undefined>((value, key) => (isJsonObject(value) ? value[key] : undefined), shown)
}
