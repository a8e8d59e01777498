import type { Rejection } from '../protocol/auth-rules/index.ts'
import { parseJson } from '../protocol/json.ts'
import type { JsonObject, Pdu } from '../protocol/pdu.ts'
import type { RoomVersionRules } from '../protocol/room-versions.ts'
import type { Membership, RoomEvent } from './contract.ts'
import type { EventLinks } from './relation.ts'

/** The type of events that servers send to join the ends of a room, as Synapse began to. They say nothing to anybody. */
export const DUMMY_TYPE = 'org.matrix.dummy_event'

/** What a kept event knows beside its PDU. */
export interface EventFacts {
  /** Of the room. */
  readonly rules: RoomVersionRules
  readonly eventId: string
  readonly roomId: string
  /** The PDU as JSON text, already the redacted form where `redactedBecause` is set. */
  readonly json: string
  readonly order: number | null
  /** 0 until the commit that brings it has one, and for what was backfilled. */
  readonly position: number
  /** State groups before and after the event; 0 for outliers, whose state is not known. */
  readonly groupBefore: number
  readonly groupAfter: number
  readonly isSoftFailed?: boolean
  readonly rejected?: Rejection | undefined
  /** A redaction that is not to be shown until it may be applied. Spec: rooms/v3 §Handling redactions. */
  readonly isWithheld?: boolean
  /** Its time is over: the content is gone, and `json` is the redacted form. */
  readonly isPurged?: boolean
  /** See `KeptEvent`. */
  readonly rank?: number | undefined
  /** Of another server's user, who joins, leaves or knocks through us: we pass it on to the room's other servers. */
  readonly isRelayed?: boolean
  /** Of one of our users, and given to another server that passes it on: a join, leave or knock by way of it. */
  readonly isHandedOver?: boolean
  readonly replaces?: RoomEvent['replaces']
  readonly redactedBecause?: KeptEvent | undefined
  readonly local?: RoomEvent['local']
  /** Of an event that relates to another, or did before it was redacted. */
  readonly links?: EventLinks | undefined
}

/**
 * An event as the room keeps it. Immutable to its readers: only the commit that brings it sets its position, before anybody
 * hears of it. The PDU is parsed when first looked at, since most events of a large room's state never are.
 */
export class KeptEvent implements RoomEvent {
  readonly rules: RoomVersionRules
  readonly eventId: string
  readonly roomId: string
  readonly json: string
  readonly order: number | null
  readonly groupBefore: number
  readonly groupAfter: number
  readonly isSoftFailed: boolean
  readonly rejected: Rejection | undefined
  readonly isWithheld: boolean
  readonly isPurged: boolean
  /**
   * For state events: greater than those of its auth events, being the order in which this server took state in. Its place in
   * the timeline does for that, unless outliers came in between.
   */
  readonly rank: number | undefined
  readonly isRelayed: boolean
  readonly isHandedOver: boolean
  readonly replaces: RoomEvent['replaces']
  readonly redactedBecause: KeptEvent | undefined
  readonly local: RoomEvent['local']
  readonly links: EventLinks | undefined
  #position: number
  #pdu: Pdu | undefined
  #clientText: string | undefined

  constructor(facts: EventFacts, pdu?: Pdu) {
    this.rules = facts.rules
    this.eventId = facts.eventId
    this.roomId = facts.roomId
    this.json = facts.json
    this.order = facts.order
    this.#position = facts.position
    this.groupBefore = facts.groupBefore
    this.groupAfter = facts.groupAfter
    this.isSoftFailed = facts.isSoftFailed ?? false
    this.rejected = facts.rejected
    this.isWithheld = facts.isWithheld ?? false
    this.isPurged = facts.isPurged ?? false
    this.rank = facts.rank
    this.isRelayed = facts.isRelayed ?? false
    this.isHandedOver = facts.isHandedOver ?? false
    this.replaces = facts.replaces
    this.redactedBecause = facts.redactedBecause
    this.local = facts.local
    this.links = facts.links
    this.#pdu = pdu
  }

  get pdu(): Pdu {
    this.#pdu ??= parseJson(this.json) as unknown as Pdu
    return this.#pdu
  }

  get position(): number {
    return this.#position
  }

  get isRejected(): boolean {
    return this.rejected !== undefined
  }

  /** Never shown to clients in a timeline. */
  get isHidden(): boolean {
    return this.isSoftFailed || this.rejected !== undefined || this.isWithheld || this.isPurged || this.#isDummy
  }

  get #isDummy(): boolean {
    return this.json.includes(DUMMY_TYPE) && this.pdu.type === DUMMY_TYPE
  }

  get isState(): boolean {
    return this.pdu.state_key !== undefined
  }

  /** Called once, by the commit that brings the event. */
  setPosition(position: number): void {
    this.#position = position
  }

  /** The same event with some facts changed. */
  with(changes: Partial<EventFacts>): KeptEvent {
    const facts: EventFacts = { ...this.#facts(), ...changes }
    return new KeptEvent(facts, changes.json === undefined ? this.#pdu : undefined)
  }

  /**
   * The part of the client's form that is the same for all viewers, as JSON text without the closing brace and without
   * `room_id` and `unsigned`. Spec: client-server-api §Room event format.
   */
  get clientText(): string {
    this.#clientText ??= clientTextOf(this)
    return this.#clientText
  }

  #facts(): EventFacts {
    const {
      rules,
      eventId,
      roomId,
      json,
      order,
      position,
      groupBefore,
      groupAfter,
      isSoftFailed,
      rejected,
      isWithheld,
      isPurged,
    } = this
    const { rank, isRelayed, isHandedOver, replaces, redactedBecause, local, links } = this
    return {
      rules,
      eventId,
      roomId,
      json,
      order,
      position,
      groupBefore,
      groupAfter,
      isSoftFailed,
      rejected,
      isWithheld,
      isPurged,
      rank,
      isRelayed,
      isHandedOver,
      replaces,
      redactedBecause,
      local,
      links,
    }
  }
}

function clientTextOf(event: KeptEvent): string {
  const { pdu } = event
  const redacts = pdu.type === 'm.room.redaction' ? redactedId(pdu, event.rules) : undefined
  // Clients of either age find it: old ones at the top, new ones in the content. Spec: rooms/v11 §Client considerations.
  const content: JsonObject = redacts === undefined ? pdu.content : { ...pdu.content, redacts }
  const parts = [
    `{"content":${JSON.stringify(content)}`,
    `"event_id":${JSON.stringify(event.eventId)}`,
    `"origin_server_ts":${pdu.origin_server_ts}`,
    `"sender":${JSON.stringify(pdu.sender)}`,
    `"type":${JSON.stringify(pdu.type)}`,
  ]
  if (pdu.state_key !== undefined) parts.push(`"state_key":${JSON.stringify(pdu.state_key)}`)
  if (redacts !== undefined) parts.push(`"redacts":${JSON.stringify(redacts)}`)
  return parts.join(',')
}

/** The event that a redaction is aimed at. Spec: rooms/v11 §Moving the redacts property. */
export function redactedId(pdu: Pdu, rules: RoomVersionRules): string | undefined {
  const id = rules.redactionV11 ? pdu.content.redacts : pdu.redacts
  return typeof id === 'string' ? id : undefined
}

const MEMBERSHIPS: ReadonlySet<unknown> = new Set(['join', 'invite', 'knock', 'leave', 'ban'])

/** The membership that an event states, if it is one of the five. */
export function membershipIn(event: RoomEvent | undefined): Membership | undefined {
  const membership = event?.pdu.content.membership
  return MEMBERSHIPS.has(membership) ? (membership as Membership) : undefined
}
