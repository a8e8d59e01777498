/** Words for tests of `/sync`: what people do in rooms, and what their clients then see. */
import type { Api, ApiReply } from '../support/api.ts'
import type { Person } from '../support/test-server.ts'

export interface WireEvent {
  readonly type: string
  readonly event_id: string
  readonly sender: string
  readonly state_key?: string
  readonly content: Record<string, unknown>
  readonly unsigned?: Record<string, unknown>
}
interface Events {
  readonly events: readonly WireEvent[]
}
export interface Counts {
  readonly notification_count: number
  readonly highlight_count: number
}
export interface JoinedRoom {
  readonly summary?: Record<string, unknown>
  readonly state?: Events
  readonly state_after?: Events
  readonly timeline: Events & { readonly limited: boolean; readonly prev_batch: string }
  readonly ephemeral: Events
  readonly account_data: Events
  readonly unread_notifications: Counts
  readonly unread_thread_notifications?: Record<string, Counts>
}
export interface SyncBody {
  readonly next_batch: string
  readonly rooms?: {
    readonly join?: Record<string, JoinedRoom>
    readonly invite?: Record<string, { readonly invite_state: Events }>
    readonly knock?: Record<string, { readonly knock_state: Events }>
    readonly leave?: Record<string, JoinedRoom>
  }
  readonly account_data?: Events
  readonly presence?: Events
  readonly to_device?: Events
  readonly device_lists?: { readonly changed: readonly string[]; readonly left: readonly string[] }
  readonly device_one_time_keys_count: Record<string, number>
  readonly device_unused_fallback_key_types: readonly string[]
}

type SyncQuery = Readonly<Record<string, string | number | boolean | undefined>>

const V3 = '/_matrix/client/v3'
const e = encodeURIComponent

/** Presence would wake others at moments that a test does not mean. */
export async function sync(person: { readonly api: Api }, query: SyncQuery = {}): Promise<SyncBody> {
  const reply = await trySync(person, query)
  if (reply.status !== 200) throw new Error(`sync: ${reply.status} ${JSON.stringify(reply.body)}`)
  return reply.body
}

export function trySync(person: { readonly api: Api }, query: SyncQuery = {}): Promise<ApiReply<SyncBody>> {
  return person.api.get<SyncBody>(`${V3}/sync`, { set_presence: 'offline', ...query })
}

export const filterText = (filter: unknown): string => JSON.stringify(filter)

async function done<T>(what: string, reply: Promise<ApiReply<T>>): Promise<T> {
  const { status, body } = await reply
  if (status !== 200) throw new Error(`${what}: ${status} ${JSON.stringify(body)}`)
  return body
}

export async function createRoom(by: Person, wish: Record<string, unknown> = {}): Promise<string> {
  const body = { preset: 'public_chat', ...wish }
  return (await done('createRoom', by.api.post<{ room_id: string }>(`${V3}/createRoom`, body))).room_id
}
export const join = (who: Person, roomId: string) => done('join', who.api.post(`${V3}/rooms/${e(roomId)}/join`))
export const leave = (who: Person, roomId: string) => done('leave', who.api.post(`${V3}/rooms/${e(roomId)}/leave`))
export const forget = (who: Person, roomId: string) => done('forget', who.api.post(`${V3}/rooms/${e(roomId)}/forget`))
export const invite = (by: Person, roomId: string, whom: Person) =>
  done('invite', by.api.post(`${V3}/rooms/${e(roomId)}/invite`, { user_id: whom.userId }))
export const kick = (by: Person, roomId: string, whom: Person) =>
  done('kick', by.api.post(`${V3}/rooms/${e(roomId)}/kick`, { user_id: whom.userId }))
export const ban = (by: Person, roomId: string, whom: Person) =>
  done('ban', by.api.post(`${V3}/rooms/${e(roomId)}/ban`, { user_id: whom.userId }))
export const knock = (who: Person, roomId: string) => done('knock', who.api.post(`${V3}/knock/${e(roomId)}`))

let transactions = 0
export async function sendEvent(by: Person, roomId: string, type: string, content: unknown): Promise<string> {
  transactions += 1
  const path = `${V3}/rooms/${e(roomId)}/send/${e(type)}/t${transactions}`
  return (await done('send', by.api.put<{ event_id: string }>(path, content))).event_id
}
export const say = (by: Person, roomId: string, body: string, more: Record<string, unknown> = {}): Promise<string> =>
  sendEvent(by, roomId, 'm.room.message', { msgtype: 'm.text', body, ...more })
/** A message in a thread. */
export const sayIn = (by: Person, roomId: string, root: string, body: string): Promise<string> =>
  say(by, roomId, body, { 'm.relates_to': { rel_type: 'm.thread', event_id: root } })
export async function setState(
  by: Person,
  roomId: string,
  type: string,
  content: unknown,
  stateKey = '',
): Promise<string> {
  const path = `${V3}/rooms/${e(roomId)}/state/${e(type)}/${e(stateKey)}`
  return (await done('state', by.api.put<{ event_id: string }>(path, content))).event_id
}
export async function redact(by: Person, roomId: string, eventId: string): Promise<string> {
  transactions += 1
  const path = `${V3}/rooms/${e(roomId)}/redact/${e(eventId)}/t${transactions}`
  return (await done('redact', by.api.put<{ event_id: string }>(path, {}))).event_id
}
export const read = (
  who: Person,
  roomId: string,
  eventId: string,
  options: { readonly type?: string; readonly threadId?: string } = {},
) =>
  done(
    'receipt',
    who.api.post(
      `${V3}/rooms/${e(roomId)}/receipt/${options.type ?? 'm.read'}/${e(eventId)}`,
      options.threadId === undefined ? {} : { thread_id: options.threadId },
    ),
  )
export const type = (who: Person, roomId: string, typing: boolean, timeout?: number) =>
  done(
    'typing',
    who.api.put(`${V3}/rooms/${e(roomId)}/typing/${e(who.userId)}`, {
      typing,
      ...(timeout !== undefined && { timeout }),
    }),
  )
export const setAccountData = (who: Person, dataType: string, content: unknown, roomId?: string) =>
  done(
    'account data',
    who.api.put(
      `${V3}/user/${e(who.userId)}/${roomId === undefined ? '' : `rooms/${e(roomId)}/`}account_data/${e(dataType)}`,
      content,
    ),
  )
export const sendToDevice = (by: Person, to: Person, content: Record<string, unknown>) => {
  transactions += 1
  return done(
    'to-device',
    by.api.put(`${V3}/sendToDevice/org.example.note/t${transactions}`, {
      messages: { [to.userId]: { [to.deviceId]: content } },
    }),
  )
}

/** The room's entry in an answer, if it has one. */
export const joined = (body: SyncBody, roomId: string): JoinedRoom | undefined => body.rooms?.join?.[roomId]
export function mustJoined(body: SyncBody, roomId: string): JoinedRoom {
  const room = joined(body, roomId)
  if (!room) throw new Error(`the room is not in the answer: ${JSON.stringify(body)}`)
  return room
}
export const ids = (events: readonly WireEvent[]): readonly string[] => events.map(({ event_id }) => event_id)
export const bodies = (room: JoinedRoom | undefined): readonly unknown[] =>
  (room?.timeline.events ?? []).filter(({ type: t }) => t === 'm.room.message').map(({ content }) => content.body)
export const membersIn = (events: readonly WireEvent[]): readonly (string | undefined)[] =>
  events.filter(({ type: t }) => t === 'm.room.member').map(({ state_key }) => state_key)
export const find = (room: JoinedRoom | undefined, eventType: string): WireEvent | undefined =>
  room?.ephemeral.events.find(({ type: t }) => t === eventType)

/** Whether the promise is still open after everything that was asked of the server before has had its turn. */
export async function isPending(promise: Promise<unknown>, anybody: { readonly api: Api }): Promise<boolean> {
  const pending = Symbol('pending')
  for (let turn = 0; turn < 3; turn += 1) await anybody.api.get('/_matrix/client/versions')
  return (await Promise.race([promise, Promise.resolve(pending)])) === pending
}
