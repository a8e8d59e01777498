/**
 * A server that means ill, in a test's hands: it has a key and a certificate of its own, comes into rooms as any server may, and
 * then says what it likes: events that it builds right or wrong, and answers to what it is asked.
 */
import type { ServerResponse } from 'node:http'
import { selectAuthEvents } from '../../server/protocol/auth-rules/index.ts'
import { eventIdOf } from '../../server/protocol/event-id.ts'
import { type EventDraft, finishEvent } from '../../server/protocol/event-signing.ts'
import { referenceHash } from '../../server/protocol/hashes.ts'
import { parseJson } from '../../server/protocol/json.ts'
import type { EventReference, IdentifiedPdu, Json, JsonObject, Pdu } from '../../server/protocol/pdu.ts'
import { getRoomVersion, type RoomVersionRules } from '../../server/protocol/room-versions.ts'
import type { SigningKey } from '../../server/protocol/signing-key.ts'
import type { ApiReply } from './api.ts'
import { type AskingServer, startAskingServer } from './asking-server.ts'
import { type AskedOf, sendJson } from './foreign-server.ts'
import type { Home, Homes } from './homes.ts'

/** A room as the attacker has learned it from a server in it: right after an event. */
export interface SeenRoom {
  readonly roomId: string
  readonly rules: RoomVersionRules
  readonly last: IdentifiedPdu
  /** By type and state key. */
  readonly state: ReadonlyMap<string, IdentifiedPdu>
}

/** What an event of the attacker shall be. What is left out is as it should be. */
export interface Forgery {
  readonly type?: string
  readonly stateKey?: string
  readonly content?: JsonObject
  readonly sender?: string
  readonly on?: readonly IdentifiedPdu[]
  readonly auth?: readonly IdentifiedPdu[]
  readonly depth?: number
  readonly ts?: number
  /** In room versions 1 and 2. */
  readonly eventId?: string
  /** Keys of the event that take the place of what was built, before it is hashed and signed. */
  readonly more?: JsonObject
  /** Who signs, instead of the attacker. */
  readonly signedAs?: { readonly name: string; readonly key: SigningKey }
}

/** What a request asked for: the parts of its path behind the operation's name, and its body. */
export interface Question extends AskedOf {
  readonly parts: readonly string[]
  readonly query: URLSearchParams
  readonly response: ServerResponse
}

/** @returns the answer; `undefined` where it has been written to `response` already, or never will be */
type Answer = (question: Question) => unknown

export interface Attacker extends AskingServer {
  /** Its user who is in the rooms. */
  readonly userId: string
  /** What it gives by `/event`, by ID. */
  readonly gives: Map<string, Json>
  /** Its answers by the first part of the path behind the version, as `state_ids`. */
  readonly answers: Map<string, Answer>
  /** What it was answered, other than 2xx and 4xx. */
  readonly serverErrors: ApiReply<JsonObject>[]
  /** @param eventId the latest event that it shall know of */
  look(home: Home, roomId: string, version: string, eventId: string): Promise<SeenRoom>
  /** Builds an event after `room.last`, and sends it nowhere. */
  forge(room: SeenRoom, forgery: Forgery): IdentifiedPdu
  /** Sends events, and EDUs, as a transaction. */
  transaction(home: Home, pdus: readonly Json[], edus?: readonly Json[]): Promise<ApiReply<JsonObject>>
  /** How often an operation was asked for. */
  askedFor(operation: string): number
}

const OPERATION = /^\/_matrix\/(?:federation|key|media)\/v\d\/(\w+)\/?(.*)$/
const part = encodeURIComponent
let count = 0

export async function startAttacker(homes: Homes, name: string): Promise<Attacker> {
  const server = await startAskingServer(homes, name)
  const { foreign } = server
  const gives = new Map<string, Json>()
  const serverErrors: ApiReply<JsonObject>[] = []
  const answers = new Map<string, Answer>([
    ['send', () => ({ pdus: {} })],
    ['event', ({ parts }) => pdusOf(gives.get(parts[0] ?? ''))],
  ])
  foreign.answer = async (asked, response) => {
    const url = new URL(asked.url, 'https://attacker.test')
    const [, operation = '', rest = ''] = OPERATION.exec(url.pathname) ?? []
    const answer = answers.get(operation)
    if (!answer) {
      sendJson(response, 404, { errcode: 'M_NOT_FOUND', error: 'the attacker has nothing to say to this' })
      return
    }
    const parts = rest.split('/').map(decodeURIComponent)
    const body = await answer({ ...asked, parts, query: url.searchParams, response })
    if (body !== undefined) sendJson(response, 200, body)
  }

  const judged = (reply: ApiReply<JsonObject>): ApiReply<JsonObject> => {
    if (reply.status >= 500) serverErrors.push(reply)
    return reply
  }
  const attacker: Attacker = {
    ...server,
    userId: `@mallory:${name}`,
    gives,
    answers,
    serverErrors,
    ask: async (...request) => judged(await server.ask(...request)),
    askWith: async (...request) => judged(await server.askWith(...request)),
    async look(home, roomId, version, eventId) {
      const rules = getRoomVersion(version)
      const last = identified((await must(server, home, `/event/${part(eventId)}`)).pdus, rules)[0]
      if (!last) throw new Error('no such event')
      const before = await must(server, home, `/state/${part(roomId)}?event_id=${part(eventId)}`)
      const state = new Map<string, IdentifiedPdu>()
      for (const event of identified(before.pdus, rules)) state.set(slotOf(event.pdu), event)
      if (last.pdu.state_key !== undefined) state.set(slotOf(last.pdu), last)
      return { roomId, rules, last, state }
    },
    forge: (room, forgery) => forge(server, room, forgery),
    transaction(home, pdus, edus = []) {
      count += 1
      return attacker.ask(home, 'PUT', `/_matrix/federation/v1/send/attack${count}`, {
        origin: name,
        origin_server_ts: Date.now(),
        pdus,
        edus,
      })
    },
    askedFor: (operation) =>
      foreign.asked.filter(({ url }) => OPERATION.exec(url.split('?')[0] ?? '')?.[1] === operation).length,
  }
  return attacker
}

const slotOf = ({ type, state_key: stateKey }: Pdu): string => stateSlotOf(type, stateKey ?? '')

/** Under which a piece of state stands in `SeenRoom.state`. */
export const stateSlotOf = (type: string, stateKey = ''): string => `${type}\n${stateKey}`

export const jsonOf = ({ pdu }: IdentifiedPdu): Json => pdu as unknown as Json

function identified(pdus: unknown, rules: RoomVersionRules): readonly IdentifiedPdu[] {
  return (pdus as readonly Pdu[]).map((pdu) => ({ eventId: eventIdOf(pdu, rules), pdu }))
}

function pdusOf(pdu: Json | undefined): Json | undefined {
  return pdu === undefined ? { pdus: [] } : { pdus: [pdu] }
}

async function must(server: AskingServer, home: Home, path: string): Promise<JsonObject> {
  const { status, body } = await server.get(home, `/_matrix/federation/v1${path}`)
  if (status !== 200) throw new Error(`${path}: ${status} ${JSON.stringify(body)}`)
  return parseJson(JSON.stringify(body)) as JsonObject
}

/** How an event names another. */
export function referenceTo(event: IdentifiedPdu, rules: RoomVersionRules): EventReference {
  return rules.eventIds === 'inEvent' ? [event.eventId, { sha256: referenceHash(event.pdu, rules) }] : event.eventId
}

function forge(server: AskingServer, room: SeenRoom, forgery: Forgery): IdentifiedPdu {
  const { rules, roomId, state } = room
  const { type = 'm.room.message', stateKey, sender = `@mallory:${server.name}`, on = [room.last] } = forgery
  const {
    content = { msgtype: 'm.text', body: 'mischief' },
    signedAs = { name: server.name, key: server.foreign.key },
  } = forgery
  const authEvents =
    forgery.auth?.map((event) => event) ??
    selectAuthEvents({ type, sender, state_key: stateKey, content }, (t, key) => state.get(stateSlotOf(t, key)), rules)
  count += 1
  const draft = {
    ...(rules.eventIds === 'inEvent' && { event_id: forgery.eventId ?? `$mischief${count}:${server.name}` }),
    room_id: roomId,
    type,
    sender,
    ...(stateKey !== undefined && { state_key: stateKey }),
    content,
    prev_events: on.map((event) => referenceTo(event, rules)),
    auth_events: authEvents.map((event) => referenceTo(event, rules)),
    depth: forgery.depth ?? Math.max(0, ...on.map(({ pdu }) => Number(pdu.depth))) + 1,
    origin_server_ts: forgery.ts ?? Date.now(),
    ...forgery.more,
  } as unknown as EventDraft
  return finishEvent({ draft, rules, serverName: signedAs.name, key: signedAs.key })
}
