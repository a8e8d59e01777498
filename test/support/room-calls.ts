/** The client API of rooms in the words of a test. Paths are encoded; replies are as they came. */
import type { ApiReply } from './api.ts'
import type { Person } from './test-server.ts'

const V3 = '/_matrix/client/v3'
const e = encodeURIComponent
export const roomPath = (roomId: string, rest = ''): string => `${V3}/rooms/${e(roomId)}${rest}`

export interface ClientEvent {
  readonly type: string
  readonly content: Record<string, unknown>
  readonly event_id: string
  readonly sender: string
  readonly state_key?: string
  readonly room_id?: string
  readonly origin_server_ts: number
  readonly redacts?: string
  readonly unsigned: Record<string, unknown> & { readonly membership?: string; readonly redacted_because?: ClientEvent }
}

/** Makes a room. Fails where the server refuses. */
export async function newRoom(by: Person, wish: Record<string, unknown> = {}): Promise<string> {
  const reply = await by.api.post<{ room_id: string }>(`${V3}/createRoom`, wish)
  if (reply.status !== 200) throw new Error(`createRoom: ${JSON.stringify(reply.body)}`)
  return reply.body.room_id
}

let count = 0
/** Sends `m.room.message`, or what is given. Fails where the server refuses. */
export async function send(
  by: Person,
  roomId: string,
  body: string | { readonly type: string; readonly content: Record<string, unknown> },
): Promise<string> {
  count += 1
  const event = typeof body === 'string' ? { type: 'm.room.message', content: { msgtype: 'm.text', body } } : body
  const reply = await by.api.put<{ event_id: string }>(
    roomPath(roomId, `/send/${e(event.type)}/txn${count}`),
    event.content,
  )
  if (reply.status !== 200) throw new Error(`send: ${JSON.stringify(reply.body)}`)
  return reply.body.event_id
}

export const setState = (
  by: Person,
  roomId: string,
  type: string,
  content: unknown,
  stateKey = '',
): Promise<ApiReply<{ event_id: string; errcode: string; error: string }>> =>
  by.api.put(roomPath(roomId, `/state/${e(type)}/${e(stateKey)}`), content)

export const getState = (
  by: Person,
  roomId: string,
  type: string,
  stateKey = '',
): Promise<ApiReply<Record<string, unknown>>> => by.api.get(roomPath(roomId, `/state/${e(type)}/${e(stateKey)}`))

export const allState = async (by: Person, roomId: string): Promise<readonly ClientEvent[]> =>
  (await by.api.get<readonly ClientEvent[]>(roomPath(roomId, '/state'))).body

export interface Page {
  readonly start: string
  readonly end?: string
  readonly chunk: readonly ClientEvent[]
  readonly state?: readonly ClientEvent[]
}
export const messages = (
  by: Person,
  roomId: string,
  query: Record<string, string | number> = {},
): Promise<ApiReply<Page>> => by.api.get<Page>(roomPath(roomId, '/messages'), { dir: 'b', ...query })

/** All events that the person may see, oldest first. */
export async function history(by: Person, roomId: string): Promise<readonly ClientEvent[]> {
  const events: ClientEvent[] = []
  let from: string | undefined
  do {
    const { body, status } = await messages(by, roomId, { dir: 'f', limit: 100, ...(from !== undefined && { from }) })
    if (status !== 200) throw new Error(`messages: ${JSON.stringify(body)}`)
    events.push(...body.chunk)
    from = body.end
  } while (from !== undefined)
  return events
}

/** What the bodies of all visible messages say, oldest first. */
export const bodies = async (by: Person, roomId: string): Promise<readonly unknown[]> =>
  (await history(by, roomId)).filter(({ type }) => type === 'm.room.message').map(({ content }) => content.body)

export const act = (
  by: Person,
  action: 'invite' | 'kick' | 'ban' | 'unban',
  roomId: string,
  target: Person,
  reason?: string,
): Promise<ApiReply> => by.api.post(roomPath(roomId, `/${action}`), { user_id: target.userId, reason })

export const join = (by: Person, roomIdOrAlias: string, body: unknown = {}): Promise<ApiReply<{ room_id: string }>> =>
  by.api.post(`${V3}/join/${e(roomIdOrAlias)}`, body)
export const knock = (by: Person, roomIdOrAlias: string, body: unknown = {}): Promise<ApiReply> =>
  by.api.post(`${V3}/knock/${e(roomIdOrAlias)}`, body)
export const leave = (by: Person, roomId: string, body: unknown = {}): Promise<ApiReply> =>
  by.api.post(roomPath(roomId, '/leave'), body)
export const forget = (by: Person, roomId: string): Promise<ApiReply> => by.api.post(roomPath(roomId, '/forget'))

export const membershipOf = async (by: Person, roomId: string, of: Person): Promise<unknown> =>
  (await getState(by, roomId, 'm.room.member', of.userId)).body.membership
