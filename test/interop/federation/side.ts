/** A homeserver of either make, as the tests see it: by the client API. */
import { type Api, type ApiReply, createApi } from '../../support/api.ts'
import type { Gate } from './gate.ts'

export interface Person {
  readonly userId: string
  readonly accessToken: string
  readonly deviceId: string
  readonly password: string
  readonly api: Api
}

export interface Side extends AsyncDisposable {
  /** Hearth, or Synapse. */
  readonly make: string
  readonly serverName: string
  readonly baseUrl: string
  readonly gate: Gate
  readonly pid: number
  /** What the process wrote, for a test that failed. */
  log(): string
}

/** How long something may take to get from one server to the other on a busy machine. */
export const PATIENCE_MS = 40_000

let people = 0

/** A new account; its name is the given one and a number, so that no test meets another's. */
export async function register(side: Side, name: string): Promise<Person> {
  people += 1
  const password = `password of ${name}`
  const reply = await createApi(side.baseUrl).post('/_matrix/client/v3/register', {
    username: `${name}${people}`,
    password,
    auth: { type: 'm.login.dummy' },
  })
  const body = good(reply)
  const accessToken = String(body.access_token)
  return {
    userId: String(body.user_id),
    deviceId: String(body.device_id),
    accessToken,
    password,
    api: createApi(side.baseUrl, accessToken),
  }
}

/** The body of a 200. */
export function good<T = Record<string, unknown>>(reply: ApiReply<T>): T {
  if (reply.status !== 200) throw new Error(`answered ${reply.status} ${JSON.stringify(reply.body)}`)
  return reply.body
}

/** Asks again until there is an answer that is not `undefined`; what is thrown counts as none yet. */
export async function until<T>(what: string, ask: () => Promise<T | undefined>, patienceMs = PATIENCE_MS): Promise<T> {
  const deadline = Date.now() + patienceMs
  let last: unknown
  for (;;) {
    try {
      const found = await ask()
      if (found !== undefined) return found
      last = undefined
    } catch (error) {
      last = error
    }
    if (Date.now() > deadline) throw new Error(`${what}: not in time`, { cause: last })
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

export const inPath = encodeURIComponent

export interface SentEvent {
  readonly event_id: string
  readonly type: string
  readonly sender: string
  readonly content: Record<string, unknown>
  readonly state_key?: string
  readonly origin_server_ts: number
  readonly unsigned?: Record<string, unknown>
}

export async function send(person: Person, roomId: string, body: string): Promise<string> {
  const path = `/_matrix/client/v3/rooms/${inPath(roomId)}/send/m.room.message/${Math.random().toString(36).slice(2)}`
  return String(good(await person.api.put(path, { msgtype: 'm.text', body })).event_id)
}

export async function setState(
  person: Person,
  roomId: string,
  type: string,
  content: Record<string, unknown>,
  stateKey = '',
): Promise<string> {
  const path = `/_matrix/client/v3/rooms/${inPath(roomId)}/state/${inPath(type)}/${inPath(stateKey)}`
  return String(good(await person.api.put(path, content)).event_id)
}

/** The room's state by type and state key, as this person's server has it: event IDs. */
export async function stateOf(person: Person, roomId: string): Promise<ReadonlyMap<string, SentEvent>> {
  const events = good(await person.api.get<SentEvent[]>(`/_matrix/client/v3/rooms/${inPath(roomId)}/state`))
  return new Map(events.map((event) => [`${event.type} ${event.state_key}`, event]))
}

export async function membershipOf(reader: Person, roomId: string, userId: string): Promise<string | undefined> {
  const event = (await stateOf(reader, roomId)).get(`m.room.member ${userId}`)
  return event?.content.membership as string | undefined
}

/** Resolves when the reader's server has the event. */
export function arrived(reader: Person, roomId: string, eventId: string): Promise<SentEvent> {
  return until(`event ${eventId} at ${reader.userId}`, async () => {
    const reply = await reader.api.get<SentEvent>(`/_matrix/client/v3/rooms/${inPath(roomId)}/event/${inPath(eventId)}`)
    return reply.status === 200 ? reply.body : undefined
  })
}

export interface SyncReply {
  readonly next_batch: string
  readonly rooms?: {
    readonly join?: Record<string, JoinedRoom>
    readonly invite?: Record<string, { readonly invite_state: { readonly events: SentEvent[] } }>
    readonly knock?: Record<string, { readonly knock_state: { readonly events: SentEvent[] } }>
    readonly leave?: Record<string, unknown>
  }
  readonly presence?: { readonly events: SentEvent[] }
  readonly device_lists?: { readonly changed?: string[]; readonly left?: string[] }
  readonly to_device?: { readonly events: SentEvent[] }
}

export interface JoinedRoom {
  readonly timeline: { readonly events: SentEvent[]; readonly limited?: boolean; readonly prev_batch?: string }
  readonly state: { readonly events: SentEvent[] }
  readonly ephemeral: { readonly events: SentEvent[] }
}

/** Synapse gives the answer of a first sync once more to whoever asks in the same words again. */
let firstSyncs = 0

/** Follows a person's sync from now on. */
export async function follow(
  person: Person,
): Promise<(what: string, wanted: (sync: SyncReply) => boolean) => Promise<SyncReply>> {
  firstSyncs += 1
  let since = good(await person.api.get<SyncReply>('/_matrix/client/v3/sync', { timeout: firstSyncs })).next_batch
  return (what, wanted) =>
    until(`${what} in the sync of ${person.userId}`, async () => {
      const sync = good(await person.api.get<SyncReply>('/_matrix/client/v3/sync', { timeout: 2_000, since }))
      since = sync.next_batch
      return wanted(sync) ? sync : undefined
    })
}

export interface RoomWish {
  readonly preset?: 'public_chat' | 'private_chat'
  readonly version?: string
  readonly name?: string
  readonly invite?: readonly string[]
  readonly initial?: readonly { readonly type: string; readonly state_key?: string; readonly content: object }[]
  readonly alias?: string
  readonly isListed?: boolean
  readonly isSpace?: boolean
}

export async function makeRoom(person: Person, wish: RoomWish = {}): Promise<string> {
  const reply = await person.api.post('/_matrix/client/v3/createRoom', {
    preset: wish.preset ?? 'public_chat',
    ...(wish.version !== undefined && { room_version: wish.version }),
    ...(wish.name !== undefined && { name: wish.name }),
    ...(wish.invite && { invite: wish.invite }),
    ...(wish.initial && { initial_state: wish.initial }),
    ...(wish.alias !== undefined && { room_alias_name: wish.alias }),
    ...(wish.isListed && { visibility: 'public' }),
    ...(wish.isSpace && { creation_content: { type: 'm.space' } }),
  })
  return String(good(reply).room_id)
}

export async function join(person: Person, roomIdOrAlias: string, via?: string): Promise<string> {
  const path = `/_matrix/client/v3/join/${inPath(roomIdOrAlias)}`
  const query = via === undefined ? {} : { via, server_name: via }
  return String(good(await person.api.post(path, {}, query)).room_id)
}
