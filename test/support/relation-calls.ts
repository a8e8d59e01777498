/** Relations between events in the words of a test. */
import type { ApiReply } from './api.ts'
import { type ClientEvent, roomPath, send } from './room-calls.ts'
import type { Person } from './test-server.ts'

const e = encodeURIComponent

/** An event with what the server knows of its children. */
export interface Parent extends ClientEvent {
  readonly unsigned: ClientEvent['unsigned'] & { readonly 'm.relations'?: Bundle }
}
export interface Bundle {
  readonly 'm.replace'?: Parent
  readonly 'm.reference'?: { readonly chunk: readonly { readonly event_id: string }[] }
  readonly 'm.thread'?: {
    readonly latest_event: Parent
    readonly count: number
    readonly current_user_participated: boolean
  }
}

export const relate = (
  by: Person,
  roomId: string,
  relType: string,
  to: string,
  content: Record<string, unknown> = {},
  type = 'm.room.message',
): Promise<string> =>
  send(by, roomId, {
    type,
    content: { msgtype: 'm.text', body: relType, ...content, 'm.relates_to': { rel_type: relType, event_id: to } },
  })

export const reply = (by: Person, roomId: string, root: string, body: string): Promise<string> =>
  relate(by, roomId, 'm.thread', root, { body })

export const edit = (by: Person, roomId: string, of: string, body: string): Promise<string> =>
  relate(by, roomId, 'm.replace', of, { body: `* ${body}`, 'm.new_content': { msgtype: 'm.text', body } })

/** A reaction, or an annotation of another type; the reply as it came. */
export function react(
  by: Person,
  roomId: string,
  to: string,
  key: string,
  type = 'm.reaction',
): Promise<ApiReply<{ event_id: string; errcode: string }>> {
  count += 1
  return by.api.put(roomPath(roomId, `/send/${type}/react${count}`), {
    'm.relates_to': { rel_type: 'm.annotation', event_id: to, key },
  })
}
let count = 0

export const redact = (by: Person, roomId: string, eventId: string): Promise<ApiReply> => {
  count += 1
  return by.api.put(roomPath(roomId, `/redact/${e(eventId)}/redact${count}`), {})
}

export const getEvent = async (by: Person, roomId: string, eventId: string): Promise<Parent> =>
  (await by.api.get<Parent>(roomPath(roomId, `/event/${e(eventId)}`))).body

export const bundleOf = async (by: Person, roomId: string, eventId: string): Promise<Bundle | undefined> =>
  (await getEvent(by, roomId, eventId)).unsigned['m.relations']

export interface Children {
  readonly chunk: readonly Parent[]
  readonly next_batch?: string
  readonly prev_batch?: string
  readonly recursion_depth?: number
}

/** @param filter `/relType` or `/relType/eventType` */
export const children = (
  by: Person,
  roomId: string,
  eventId: string,
  filter = '',
  query: Record<string, string | number | boolean> = {},
): Promise<ApiReply<Children>> =>
  by.api.get(`/_matrix/client/v1/rooms/${e(roomId)}/relations/${e(eventId)}${filter}`, query)

export interface ThreadList {
  readonly chunk: readonly Parent[]
  readonly next_batch?: string
}
export const threads = (
  by: Person,
  roomId: string,
  query: Record<string, string | number> = {},
): Promise<ApiReply<ThreadList>> => by.api.get(`/_matrix/client/v1/rooms/${e(roomId)}/threads`, query)

export const ids = (chunk: readonly ClientEvent[]): readonly string[] => chunk.map(({ event_id }) => event_id)

export const ignore = (by: Person, ...users: readonly Person[]): Promise<ApiReply> =>
  by.api.put(`/_matrix/client/v3/user/${e(by.userId)}/account_data/m.ignored_user_list`, {
    ignored_users: Object.fromEntries(users.map(({ userId }) => [userId, {}])),
  })
