/** Another server in a test's hands: it signs whatever events it is told to, right or wrong. */

import { type Peers, RemoteRefusal } from '../../server/federation/index.ts'
import { RemoteError } from '../../server/net/index.ts'
import { selectAuthEvents } from '../../server/protocol/auth-rules/index.ts'
import { type EventDraft, finishEvent, type VerifyKey } from '../../server/protocol/event-signing.ts'
import { referenceHash } from '../../server/protocol/hashes.ts'
import {
  type EventReference,
  type IdentifiedPdu,
  type Json,
  type JsonObject,
  type Pdu,
  referencedIds,
} from '../../server/protocol/pdu.ts'
import { makeSigningKey, type SigningKey } from '../../server/protocol/signing-key.ts'
import type { RoomEvent, Rooms } from '../../server/rooms/index.ts'

export interface RemoteWish {
  readonly roomId: string
  readonly sender: string
  readonly type: string
  readonly stateKey?: string
  readonly content: JsonObject
  /** What it builds on: events of the room, or of this server that the room does not have yet. */
  readonly on: readonly string[]
  /** The state that its auth events are taken from, instead of that after the first of `on`. */
  readonly authFrom?: string
  readonly redacts?: string
  readonly ts?: number
}

export interface RemoteServer {
  readonly name: string
  readonly key: SigningKey
  user(name: string): string
  /** Builds and signs an event, and sends it nowhere. */
  build(wish: RemoteWish): Promise<IdentifiedPdu>
  /** Hashes and signs an event anew, after the test has changed something of it. */
  sign(pdu: Pdu, roomId: string): Promise<IdentifiedPdu>
  /** Builds an event and has the room take it in. */
  send(
    wish: RemoteWish,
  ): Promise<{ readonly eventId: string; readonly reception: Awaited<ReturnType<Rooms['receive']>> }>
  /** Makes a user of this server a member of a public room. @returns the join's ID */
  join(roomId: string, userId: string, on: readonly string[]): Promise<string>
}

async function noAnswer(server: string): Promise<never> {
  throw new RemoteError(server, 'unreachable', 'it is in a test')
}

/** What the tests of rooms alone do not ask of others. */
const unreachable = {
  backfill: noAnswer,
  state: noAnswer,
  eventAuth: noAnswer,
  eventByTimestamp: noAnswer,
  makeMembership: noAnswer,
  sendJoin: noAnswer,
  sendLeave: noAnswer,
  sendKnock: noAnswer,
  sendInvite: noAnswer,
  exchangeThirdPartyInvite: noAnswer,
  hierarchy: noAnswer,
  publicRooms: noAnswer,
} satisfies Partial<Peers>

/** Keys of all remote servers of a test, and the events that they give when asked. */
export function peersOf(servers: readonly Pick<RemoteServer, 'name' | 'key'>[]): Peers & {
  readonly events: Map<string, Json>
  /** States before events, by event ID. */
  readonly states: Map<string, Awaited<ReturnType<Peers['stateIds']>>>
} {
  const events = new Map<string, Json>()
  const states = new Map<string, Awaited<ReturnType<Peers['stateIds']>>>()
  return {
    events,
    states,
    keysFor:
      async () =>
      (serverName, keyId): VerifyKey | undefined => {
        const server = servers.find(({ name, key }) => name === serverName && key.keyId === keyId)
        return server && { publicKey: server.key.publicKey, validUntilTs: Number.MAX_SAFE_INTEGER }
      },
    ...unreachable,
    async event(server, eventId) {
      const event = events.get(eventId)
      if (event !== undefined) return event
      throw new RemoteRefusal(server, { status: 404, errcode: 'M_NOT_FOUND', error: 'no such event', body: {} })
    },
    /** What of them lies behind the latest ones. */
    async missingEvents(_, { latest, earliest, limit }) {
      const found: Json[] = []
      const wanted = new Set(latest)
      for (const eventId of wanted) {
        const json = events.get(eventId)
        const pdu = json as unknown as Pdu | undefined
        if (json !== undefined && !latest.includes(eventId)) found.push(json)
        for (const previous of referencedIds(pdu?.prev_events ?? [])) {
          if (!earliest.includes(previous)) wanted.add(previous)
        }
      }
      return found.slice(0, limit).reverse()
    },
    async stateIds(server, _, eventId) {
      return states.get(eventId) ?? noAnswer(server)
    },
    resolveAlias: async () => undefined,
  }
}

export const remoteKey = (seed: number): SigningKey => makeSigningKey(Buffer.alloc(32, seed), 'remote')

export function remoteServer(rooms: Rooms, name: string, key: SigningKey): RemoteServer {
  const built = new Map<string, IdentifiedPdu>()
  let count = 0

  async function find(roomId: string, eventId: string): Promise<IdentifiedPdu> {
    using view = await rooms.open(roomId)
    const event = (await view.find(eventId)) ?? built.get(eventId)
    if (!event) throw new Error(`the test knows no event ${eventId}`)
    return event
  }

  async function build(wish: RemoteWish): Promise<IdentifiedPdu> {
    const { roomId, sender, type, stateKey, content, on, redacts } = wish
    using view = await rooms.open(roomId)
    const { rules } = view
    const previous = await Promise.all(on.map((eventId) => find(roomId, eventId)))
    const from = (await view.find(wish.authFrom ?? on[0] ?? '')) as RoomEvent | undefined
    const state = from?.order == null ? view.state : await view.stateAt(from.order)
    const authEvents = selectAuthEvents(
      { type, sender, state_key: stateKey, content },
      (wanted, wantedKey) => state.get(wanted, wantedKey),
      rules,
    )
    const reference = (event: IdentifiedPdu): EventReference =>
      rules.eventIds === 'inEvent' ? [event.eventId, { sha256: referenceHash(event.pdu, rules) }] : event.eventId
    count += 1
    const draft: EventDraft = {
      ...(rules.eventIds === 'inEvent' && { event_id: `$remote${count}:${name}` }),
      room_id: roomId,
      type,
      sender,
      ...(stateKey !== undefined && { state_key: stateKey }),
      content: redacts !== undefined && rules.redactionV11 ? { ...content, redacts } : content,
      ...(redacts !== undefined && !rules.redactionV11 && { redacts }),
      prev_events: previous.map(reference),
      auth_events: authEvents.map(reference),
      depth: Math.max(...previous.map(({ pdu }) => Number(pdu.depth))) + 1,
      origin_server_ts: wish.ts ?? 1_800_000_000_000 + count,
    }
    const event = finishEvent({ draft, rules, serverName: name, key })
    built.set(event.eventId, event)
    return event
  }

  async function send(wish: RemoteWish) {
    const event = await build(wish)
    const reception = await rooms.receive({ roomId: wish.roomId, json: event.pdu as unknown as Json, from: name })
    return { eventId: event.eventId, reception }
  }

  return {
    name,
    key,
    user: (localpart) => `@${localpart}:${name}`,
    build,
    async sign({ hashes: _, signatures: __, ...draft }, roomId) {
      using view = await rooms.open(roomId)
      return finishEvent({ draft, rules: view.rules, serverName: name, key })
    },
    send,
    async join(roomId, userId, on) {
      const { eventId, reception } = await send({
        roomId,
        sender: userId,
        type: 'm.room.member',
        stateKey: userId,
        content: { membership: 'join' },
        on,
      })
      if (reception.outcome !== 'accepted') throw new Error(`join: ${JSON.stringify(reception)}`)
      return eventId
    },
  }
}
