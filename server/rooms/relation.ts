/** How an event says what it relates to, and by which values the index of events finds it. */
import { createHash } from 'node:crypto'
import { isOpaqueId } from '../../shared/matrix/identifiers.ts'
import { isJsonObject } from '../protocol/json.ts'
import type { Pdu } from '../protocol/pdu.ts'

/** Spec: client-server-api §Forming relationships between events, `m.relates_to`. */
export interface Relation {
  readonly relType: string
  /** The event that it relates to. */
  readonly parent: string
}

/** Longer types relate to nothing. Spec: appendices §Common Namespaced Identifier Grammar. */
const MAX_REL_TYPE = 255

/** What the event relates to; `undefined` where it says nothing of the kind, or nothing that fits the schema. */
export function relationIn({ content }: Pick<Pdu, 'content'>): Relation | undefined {
  const relatesTo = content['m.relates_to']
  if (!isJsonObject(relatesTo)) return undefined
  const { rel_type: relType, event_id: parent } = relatesTo
  if (typeof relType !== 'string' || relType === '' || relType.length > MAX_REL_TYPE || relType.includes('\0')) {
    return undefined
  }
  return typeof parent === 'string' && isOpaqueId('$', parent) ? { relType, parent } : undefined
}

/**
 * Values by which an event that relates to another is found. They stay when it is redacted, since indexed fields of sealed
 * rows do not change; whoever reads looks whether the event still relates to anything.
 */
export interface EventLinks {
  /** Each of the three: an event that it relates to, directly or through others, and its own order. */
  readonly parent: string
  readonly grandparent: string | null
  readonly greatGrandparent: string | null
  /** The parent, the type of the relation, and its own order. */
  readonly relation: string
  /** For what a sender may do once or what only the last one counts of: edits by time, annotations by what they say. */
  readonly relationBySender: string | null
}

/** Levels of relations that can be asked for at once. Spec: client-server-api §Relationships API, `recurse`: at least 3. */
export const RECURSION_DEPTH = 3

/** Makes all orders positive and of 16 digits, those of what was backfilled too. */
const ORDER_ZERO = 2 ** 52

/** @param prefix what comes before the order in an index of places */
export const placeIn = (prefix: string, order: number): string =>
  `${prefix}\0${String(order + ORDER_ZERO).padStart(16, '0')}`
export const relationPrefix = (parent: string, relType: string): string => `${parent}\0${relType}`

/** Edits of an event by one sender, sorted by their time and ID. Spec: §Server-side aggregation of m.replace relationships. */
export const editsPrefix = (parent: string, sender: string): string => `${parent}\0m.replace\0${sender}\0`
const timeText = (ts: number): string => String(Math.max(0, ts)).padStart(16, '0')

/** The same for events that say the same of the same event. Spec: §Avoiding duplicate annotations. */
export function annotationValue(parent: string, { sender, type, content }: AnnotationLike): string | null {
  const relatesTo = content['m.relates_to']
  const key = isJsonObject(relatesTo) ? relatesTo.key : undefined
  if (typeof key !== 'string') return null
  // A key may be as long as an event.
  const said = createHash('sha256').update(`${type}\0${key}`).digest('base64url')
  return `${parent}\0m.annotation\0${sender}\0${said}`
}
type AnnotationLike = Pick<Pdu, 'sender' | 'type' | 'content'>

/** @param parentLinks those of the parent, where it is known and relates to something itself */
export function linksOf(
  event: { readonly eventId: string; readonly pdu: Pdu; readonly order: number },
  { relType, parent }: Relation,
  parentLinks: EventLinks | undefined,
): EventLinks {
  const { eventId, pdu, order } = event
  const above = (link: string | null | undefined): string | null =>
    link == null ? null : placeIn(link.slice(0, link.indexOf('\0')), order)
  return {
    parent: placeIn(parent, order),
    grandparent: above(parentLinks?.parent),
    greatGrandparent: above(parentLinks?.grandparent),
    relation: placeIn(relationPrefix(parent, relType), order),
    relationBySender:
      relType === 'm.replace'
        ? `${editsPrefix(parent, pdu.sender)}${timeText(Number(pdu.origin_server_ts))}\0${eventId}`
        : relType === 'm.annotation'
          ? annotationValue(parent, pdu)
          : null,
  }
}
