/**
 * What slices above get of other servers. All of it is as those servers sent it: JSON read by `parseJson`, bounded in bytes
 * and time, of the declared shape, but with events that nobody has checked.
 */
import type { Readable } from 'node:stream'
import type { BodyOf, Endpoint, PathOf, QueryOf, ReplyOf } from '../../shared/api/endpoint.ts'
import type { OutboundAnswer } from '../net/index.ts'
import type { KeyLookup } from '../protocol/event-signing.ts'
import type { Json, JsonObject, Pdu } from '../protocol/pdu.ts'
import type { RoomVersionRules } from '../protocol/room-versions.ts'
import type { Op } from '../store/index.ts'

/** An error that the other server answered with. Its words may be shown to the user whose request led there. */
export interface Refusal {
  readonly status: number
  readonly errcode: string
  readonly error: string
  readonly body: JsonObject
}

/** One signed request to another server. */
export interface FederationCall<E extends Endpoint> {
  readonly path: PathOf<E>
  readonly query?: QueryOf<E>
  readonly body?: BodyOf<E>
  /** For all of it; 30 s without it. */
  readonly timeoutMs?: number
  /** The answer's longest body; 1 MiB without it. */
  readonly maxBytes?: number
  readonly signal?: AbortSignal
  /** Tries even a destination that is backed off from, as for what a person waits for. */
  readonly evenIfBackedOff?: boolean
}

/**
 * Signed requests. Each failure to reach a destination backs off from it, each answer ends that.
 * @throws RemoteError it could not be reached, is backed off from, or answered what does not fit the declaration;
 *   RemoteRefusal it answered with an error
 */
export interface FederationClient {
  call<E extends Endpoint>(destination: string, endpoint: E, call: FederationCall<E>): Promise<ReplyOf<E>>
  /** The answer as a stream, which must be read or destroyed; redirects are not followed. */
  open<E extends Endpoint>(destination: string, endpoint: E, call: FederationCall<E>): Promise<OutboundAnswer<Readable>>
}

/** A request that bears the signature of another server. */
export interface SignedRequest {
  readonly method: string
  /** Path and query as they were sent. */
  readonly uri: string
  /** Each `Authorization` header. */
  readonly authorization: readonly string[]
  /** The JSON body, read by `parseJson`; `undefined` where there is none. */
  readonly content: Json | undefined
}

/** Who may come in with signed requests. Spec: server-server-api §Request Authentication. */
export interface Doorkeeper {
  /**
   * Whether a request may come in at all, by its headers alone, before anything of its body is read.
   * @throws MatrixError 401 M_UNAUTHORIZED where they are missing, malformed or for another server; 403 M_FORBIDDEN for a server
   *   that this home has nothing to do with
   */
  admit(authorization: SignedRequest['authorization']): void
  /**
   * Who sent a request. That server is known to be there afterwards.
   * @throws MatrixError 401 M_UNAUTHORIZED; those of `admit`
   */
  authenticate(request: SignedRequest): Promise<string>
}

/** Public keys of other servers, and our own. */
export interface ServerKeys {
  /**
   * Keys that these events' signatures are to be checked with, ours among them; what cannot be had is left out.
   * @param vouchers servers to ask for keys of servers that are gone and whose keys were never known: they are taken at their
   *   word for these events alone, so name only such as are trusted with the room's past anyway (the one that a join goes by)
   */
  keysFor(pdus: readonly Pdu[], rules: RoomVersionRules, vouchers?: readonly string[]): Promise<KeyLookup>
}

/** Where a template for a membership event comes from. Nothing of it is checked. */
export interface Template {
  readonly event: JsonObject
  /** Absent in answers of old servers: version 1. */
  readonly roomVersion: string | undefined
}

export interface JoinAnswer {
  readonly state: readonly Json[]
  readonly authChain: readonly Json[]
  /** The join with the resident server's signature, where it gave one. */
  readonly event: Json | undefined
  readonly membersOmitted: boolean
  /** Where members were omitted: the servers in the room. */
  readonly serversInRoom: readonly string[]
}

/** What servers answer about rooms. Each method asks one server, and throws as `FederationClient` does. */
export interface Peers extends Pick<ServerKeys, 'keysFor'> {
  event(server: string, eventId: string): Promise<Json>
  missingEvents(
    server: string,
    wish: {
      readonly roomId: string
      readonly earliest: readonly string[]
      readonly latest: readonly string[]
      readonly limit: number
      readonly minDepth: number
    },
  ): Promise<readonly Json[]>
  backfill(
    server: string,
    wish: { readonly roomId: string; readonly from: readonly string[]; readonly limit: number },
  ): Promise<readonly Json[]>
  /** State before the event. */
  stateIds(
    server: string,
    roomId: string,
    eventId: string,
  ): Promise<{ readonly state: readonly string[]; readonly authChain: readonly string[] }>
  state(
    server: string,
    roomId: string,
    eventId: string,
  ): Promise<{ readonly state: readonly Json[]; readonly authChain: readonly Json[] }>
  eventAuth(server: string, roomId: string, eventId: string): Promise<readonly Json[]>
  eventByTimestamp(
    server: string,
    wish: { readonly roomId: string; readonly ts: number; readonly direction: 'b' | 'f' },
  ): Promise<{ readonly eventId: string; readonly originServerTs: number }>
  makeMembership(
    server: string,
    wish: {
      readonly kind: 'join' | 'leave' | 'knock'
      readonly roomId: string
      readonly userId: string
      /** Room versions that we know; for joins and knocks. */
      readonly versions: readonly string[]
    },
  ): Promise<Template>
  sendJoin(
    server: string,
    join: { readonly roomId: string; readonly eventId: string; readonly pdu: Pdu; readonly omitMembers: boolean },
  ): Promise<JoinAnswer>
  sendLeave(
    server: string,
    leave: { readonly roomId: string; readonly eventId: string; readonly pdu: Pdu },
  ): Promise<void>
  /** @returns stripped state */
  sendKnock(
    server: string,
    knock: { readonly roomId: string; readonly eventId: string; readonly pdu: Pdu },
  ): Promise<readonly Json[]>
  /** By version 2 of the endpoint, and by version 1 where only that is there and the room's version allows it. @returns the event, signed by the invited server */
  sendInvite(
    server: string,
    invite: {
      readonly roomId: string
      readonly eventId: string
      readonly roomVersion: string
      readonly pdu: Pdu
      readonly strippedState: readonly Json[]
    },
  ): Promise<Json>
  exchangeThirdPartyInvite(server: string, roomId: string, event: JsonObject): Promise<void>
  /** The room that another server's alias leads to; `undefined` where it has none. */
  resolveAlias(alias: string): Promise<{ readonly roomId: string; readonly servers: readonly string[] } | undefined>
  hierarchy(server: string, roomId: string, suggestedOnly: boolean): Promise<JsonObject>
  /** Its published rooms; by POST where something is searched for. */
  publicRooms(
    server: string,
    wish: {
      readonly limit: number
      readonly since?: string | undefined
      readonly searchTerm?: string | undefined
      readonly roomTypes?: readonly (string | null)[] | undefined
      readonly networkId?: string | undefined
      readonly allNetworks?: boolean | undefined
    },
  ): Promise<JsonObject>
}

/** An EDU on its way to another server. */
export interface Edu {
  readonly edu_type: string
  readonly content: JsonObject
}

/** Something that our users did and that a server is to have. */
export interface OwedPdu {
  /** Stream position of the commit that brought it. */
  readonly position: number
  readonly eventId: string
  /** The PDU, and its JSON. */
  readonly pdu: Pdu
  readonly json: string
}

/**
 * What a server is still to be sent of the rooms that we share: given by `app/`, answered by `rooms/` from the events
 * themselves, so that nothing is written for each destination when somebody sends a message.
 */
export interface OwedPdus {
  /**
   * Events after a position, oldest first. None from before the server came into the room, nor its own users'.
   * @param limit whole commits are given, so there may be more
   * @returns `upTo`: everything up to this position is in `pdus` or of no concern to the server
   */
  owedTo(
    destination: string,
    after: number,
    limit: number,
  ): Promise<{ readonly pdus: readonly OwedPdu[]; readonly upTo: number; readonly isComplete: boolean }>
  /** Of each room with something owed after the position only the newest event, for who was away for long. */
  newestOwedTo(
    destination: string,
    after: number,
  ): Promise<{ readonly pdus: readonly OwedPdu[]; readonly upTo: number }>
  /** All servers that something after the position may be owed to, for a start. No room is opened. */
  serversOwed(after: number): Promise<ReadonlySet<string>>
  /** Each server has what is owed to it up to the position that it is asked for, durably. */
  delivered(upTo: (server: string) => number): Promise<void>
}

/**
 * The queue to each other server. PDUs are not put into it: it reads them from where it stands (`OwedPdus`). EDUs are, and
 * those that must not be lost are rows of the caller's commit.
 */
export interface Outbox {
  /** There is something for these servers in the rooms, committed at this position. */
  pdusReady(destinations: Iterable<string>, position: number): void
  /**
   * The write of an EDU that must reach its destination, for the caller's own commit; call `edusReady` after it. A later one
   * under the same key takes the place of one that has not been sent.
   */
  writeEdu(destination: string, edu: Edu, key?: string): Op
  edusReady(destinations: Iterable<string>): void
  /**
   * An EDU that may be lost with the process or dropped when the destination stays away for long (typing, presence, receipts).
   * A later one under the same key takes the place of one that has not been sent.
   * @param withinMs for so long it may wait for something else to go with; 0 without it
   */
  offerEdu(destination: string, edu: Edu, key: string, withinMs?: number): void
  /** The other server spoke to us: it is there. */
  heardFrom(server: string): void
}

/** Takes EDUs in. @returns whether this type of EDU is one of its own */
export type ReceiveEdu = (origin: string, eduType: string, content: JsonObject) => Promise<boolean>
