/** Another server in a test's hands that comes into rooms by the doors for servers, as far as `rooms/` is concerned. */
import type { Peers } from '../../server/federation/index.ts'
import { cosignEvent, type EventDraft, finishEvent } from '../../server/protocol/event-signing.ts'
import type { IdentifiedPdu, Json, JsonObject } from '../../server/protocol/pdu.ts'
import { getRoomVersion } from '../../server/protocol/room-versions.ts'
import type { JsonPieces, Rooms } from '../../server/rooms/index.ts'
import type { RemoteServer } from './remote-server.ts'

export const ALL_VERSIONS = Array.from({ length: 12 }, (_, i) => String(i + 1))

type Membership = 'join' | 'leave' | 'knock'

/** The text of an answer that comes in pieces. */
export async function textOf(pieces: JsonPieces): Promise<string> {
  let text = ''
  for await (const piece of pieces) text += piece
  return text
}

export interface JoinAnswer {
  readonly event: JsonObject
  readonly state: readonly JsonObject[]
  readonly auth_chain: readonly JsonObject[]
  readonly members_omitted?: boolean
  readonly servers_in_room?: readonly string[]
}

let count = 0

/** A template made into an event: hashed and signed by the server, with changes that the test wants. */
export function finishTemplate(
  { name, key }: Pick<RemoteServer, 'name' | 'key'>,
  template: { readonly roomVersion: string; readonly event: JsonObject },
  changes: JsonObject = {},
): IdentifiedPdu {
  const rules = getRoomVersion(template.roomVersion)
  const { origin: _, ...rest } = template.event
  count += 1
  const draft = {
    ...(rules.eventIds === 'inEvent' && { event_id: `$guest${count}:${name}` }),
    ...rest,
    ...changes,
  } as unknown as EventDraft
  return finishEvent({ draft, rules, serverName: name, key })
}

/** An invited server that has nothing against it. */
export const signsInvites =
  ({ name, key }: Pick<RemoteServer, 'name' | 'key'>): Peers['sendInvite'] =>
  async (_server, { pdu, roomVersion }) =>
    cosignEvent({ pdu, rules: getRoomVersion(roomVersion), serverName: name, key }) as unknown as Json

export class GuestServer {
  readonly #rooms: Rooms
  readonly #remote: Pick<RemoteServer, 'name' | 'key'>

  constructor(rooms: Rooms, remote: Pick<RemoteServer, 'name' | 'key'>) {
    this.#rooms = rooms
    this.#remote = remote
  }

  get name(): string {
    return this.#remote.name
  }

  user(localpart: string): string {
    return `@${localpart}:${this.name}`
  }

  template(roomId: string, userId: string, membership: Membership = 'join', versions = ALL_VERSIONS) {
    return this.#rooms.forServers.draftMembership({
      server: this.name,
      roomId,
      userId,
      membership,
      ...(membership !== 'leave' && { versions }),
    })
  }

  /** A signed membership on a template of the room's own. */
  async event(roomId: string, userId: string, membership: Membership = 'join', changes: JsonObject = {}) {
    return finishTemplate(this.#remote, await this.template(roomId, userId, membership), changes)
  }

  async sendJoin(roomId: string, { eventId, pdu }: IdentifiedPdu, omitsMembers = false): Promise<JoinAnswer> {
    const sent = { server: this.name, roomId, eventId, json: pdu as unknown as Json }
    return JSON.parse(await textOf(await this.#rooms.forServers.takeJoin(sent, omitsMembers))) as JoinAnswer
  }

  /** The whole way into a room. */
  async join(roomId: string, userId: string, omitsMembers = false): Promise<JoinAnswer & { readonly eventId: string }> {
    const event = await this.event(roomId, userId)
    return { ...(await this.sendJoin(roomId, event, omitsMembers)), eventId: event.eventId }
  }

  async leave(roomId: string, userId: string): Promise<string> {
    const { eventId, pdu } = await this.event(roomId, userId, 'leave')
    await this.#rooms.forServers.takeLeave({ server: this.name, roomId, eventId, json: pdu as unknown as Json })
    return eventId
  }
}
