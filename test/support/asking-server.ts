/** Another server that asks homes, with signed requests over real TLS, and comes into rooms by the endpoints for that. */
import type { IdentifiedPdu, Json, JsonObject } from '../../server/protocol/pdu.ts'
import type { ApiReply } from './api.ts'
import { type ForeignServer, type SignedBy, startForeignServer } from './foreign-server.ts'
import { ALL_VERSIONS, finishTemplate } from './guest-server.ts'
import type { Home, Homes } from './homes.ts'

export interface AskingServer extends AsyncDisposable {
  readonly name: string
  readonly foreign: ForeignServer
  user(localpart: string): string
  /** A signed request. @param body what is signed and sent */
  ask(home: Home, method: string, path: string, body?: Json): Promise<ApiReply<JsonObject>>
  get(home: Home, path: string): Promise<ApiReply<JsonObject>>
  /** What is signed may be another request than the one that is sent, and the body no JSON at all. */
  askWith(
    home: Home,
    request: {
      readonly method: string
      readonly path: string
      readonly body?: string
      readonly signed?: Partial<SignedBy>
    },
  ): Promise<ApiReply<JsonObject>>
  /** A signed membership on the home's template. */
  membership(
    home: Home,
    wish: { readonly roomId: string; readonly userId: string; readonly membership?: 'join' | 'leave' | 'knock' },
    changes?: JsonObject,
  ): Promise<IdentifiedPdu>
  send(
    home: Home,
    roomId: string,
    event: IdentifiedPdu,
    membership?: 'join' | 'leave' | 'knock',
  ): Promise<ApiReply<JsonObject>>
  /** The whole way into a room. @returns the join's ID */
  join(home: Home, roomId: string, userId: string): Promise<string>
}

const part = encodeURIComponent

export async function startAskingServer(homes: Homes, name: string): Promise<AskingServer> {
  const foreign = await startForeignServer({ ca: homes.ca, name })
  homes.names.set(name, { port: foreign.port })

  const self: AskingServer = {
    name,
    foreign,
    user: (localpart) => `@${localpart}:${name}`,
    ask: (home, method, path, body) =>
      self.askWith(home, {
        method,
        path,
        ...(body !== undefined && { body: JSON.stringify(body), signed: { content: body } }),
      }),
    get: (home, path) => self.ask(home, 'GET', path),
    async askWith(home, { method, path, body, signed }) {
      const request = { method, uri: path, destination: home.serverName, ...signed }
      const headers = { authorization: foreign.authorization(request), 'content-type': 'application/json' }
      const reply = await homes.call(home, path, { method, headers, ...(body !== undefined && { body }) })
      return reply as ApiReply<JsonObject>
    },
    async membership(home, { roomId, userId, membership = 'join' }, changes = {}) {
      const query = membership === 'leave' ? '' : `?${ALL_VERSIONS.map((version) => `ver=${version}`).join('&')}`
      const path = `/_matrix/federation/v1/make_${membership}/${part(roomId)}/${part(userId)}${query}`
      const { status, body } = await self.get(home, path)
      if (status !== 200) throw new Error(`no template: ${status} ${JSON.stringify(body)}`)
      const template = { roomVersion: String(body.room_version), event: body.event as JsonObject }
      return finishTemplate({ name, key: foreign.key }, template, changes)
    },
    send(home, roomId, { eventId, pdu }, membership = 'join') {
      const version = membership === 'knock' ? 'v1' : 'v2'
      const path = `/_matrix/federation/${version}/send_${membership}/${part(roomId)}/${part(eventId)}`
      return self.ask(home, 'PUT', path, pdu as unknown as Json)
    },
    async join(home, roomId, userId) {
      const event = await self.membership(home, { roomId, userId })
      const { status, body } = await self.send(home, roomId, event)
      if (status !== 200) throw new Error(`not joined: ${status} ${JSON.stringify(body)}`)
      return event.eventId
    },
    async [Symbol.asyncDispose]() {
      homes.names.delete(name)
      await foreign[Symbol.asyncDispose]()
    },
  }
  return self
}
