/**
 * What is known of an event's children, for one viewer: `m.relations` in its `unsigned`.
 * Spec: client-server-api §Aggregations of child events.
 *
 * The room's numbers tell at once that most events have nothing of the kind. Children that the viewer may not see, or whose
 * senders they ignore, are left out.
 */
import type { RoomLease } from '../store/index.ts'
import type { KeptEvent } from './event.ts'
import type { EventReader } from './event-reader.ts'
import { editsPrefix, placeIn, relationIn, relationPrefix } from './relation.ts'
import { type AggregateRow, replierKey, repliers } from './relation-store.ts'
import { events } from './store.ts'

/** A room as the viewer of an event sees it. */
export interface Onlooker {
  readonly lease: RoomLease
  readonly reader: EventReader
  /** Of the newest event that is told of. */
  readonly latestOrder: number
  readonly userId: string
  readonly ignored: ReadonlySet<string>
  /** Nothing in the room is hidden from them. */
  readonly seesAll: boolean
  maySee(event: KeptEvent): Promise<boolean>
  /** The form of another event in this one. */
  render(event: KeptEvent, bundles: boolean): Promise<string>
}

/** The newest edits that are looked at; a sender who sends worse ones after a good one gets the original shown. */
const MAX_EDITS = 50
const MAX_REFERENCES = 200
/** So many events of a thread are looked at to find the newest that is shown, and to count what is. */
const MAX_REPLIES = 512
const PER_READ = 64

/**
 * @param row the room's numbers of the event
 * @returns the value of `m.relations` as JSON text; `undefined` where there is nothing to tell
 */
export async function bundleText(who: Onlooker, event: KeptEvent, row: AggregateRow): Promise<string | undefined> {
  const parts: string[] = []
  const edit = row.edits > 0 ? await newestEdit(who, event) : undefined
  if (edit) parts.push(`"m.replace":${await who.render(edit, false)}`)
  const references = row.references > 0 ? await referencesTo(who, event) : []
  if (references.length > 0) {
    parts.push(`"m.reference":{"chunk":[${references.map((id) => `{"event_id":${JSON.stringify(id)}}`).join(',')}]}`)
  }
  const thread = row.replies > 0 ? await findThread(who, event, row) : undefined
  if (thread) {
    const latest = await who.render(thread.latest, true)
    const participated = await hasParticipated(who, event)
    parts.push(
      `"m.thread":{"latest_event":${latest},"count":${thread.count},"current_user_participated":${participated}}`,
    )
  }
  return parts.length === 0 ? undefined : `{${parts.join(',')}}`
}

const isShown = (who: Onlooker, event: KeptEvent): boolean =>
  !event.isHidden && event.redactedBecause === undefined && !who.ignored.has(event.pdu.sender)

/** Spec: client-server-api §Validity of replacement events; §Server-side aggregation of m.replace relationships. */
async function newestEdit(who: Onlooker, event: KeptEvent): Promise<KeptEvent | undefined> {
  const { sender, type, state_key: stateKey } = event.pdu
  if (event.redactedBecause || stateKey !== undefined || relationIn(event.pdu)?.relType === 'm.replace')
    return undefined
  const prefix = editsPrefix(event.eventId, sender)
  const rows = await who.lease.range(events, {
    index: 'relationBySender',
    from: prefix,
    to: `${prefix}\uffff`,
    direction: 'backward',
    limit: MAX_EDITS,
  })
  for (const edit of await who.reader.completeAll(rows)) {
    const isValid =
      isShown(who, edit) &&
      edit.pdu.type === type &&
      edit.pdu.state_key === undefined &&
      // Of an encrypted event only its readers can tell.
      (type === 'm.room.encrypted' || isObject(edit.pdu.content['m.new_content']))
    if (isValid && (await who.maySee(edit))) return edit
  }
  return undefined
}

const isObject = (value: unknown): boolean => typeof value === 'object' && value !== null && !Array.isArray(value)

async function referencesTo(who: Onlooker, event: KeptEvent): Promise<readonly string[]> {
  const prefix = relationPrefix(event.eventId, 'm.reference')
  const rows = await who.lease.range(events, {
    index: 'relation',
    from: `${prefix}\0`,
    to: placeIn(prefix, who.latestOrder + 1),
    limit: MAX_REFERENCES,
  })
  const shown: string[] = []
  for (const reference of await who.reader.completeAll(rows)) {
    if (isShown(who, reference) && (await who.maySee(reference))) shown.push(reference.eventId)
  }
  return shown
}

export interface Thread {
  /** The newest event in it that the viewer is shown. */
  readonly latest: KeptEvent
  readonly count: number
}

/**
 * A thread as the viewer sees it; `undefined` for events that cannot begin one, and where nothing of it is shown.
 * Spec: client-server-api §Server-side aggregation of m.thread relationships.
 */
export async function findThread(who: Onlooker, root: KeptEvent, row: AggregateRow): Promise<Thread | undefined> {
  if (relationIn(root.pdu)) return undefined
  const prefix = relationPrefix(root.eventId, 'm.thread')
  let latest: KeptEvent | undefined
  let to = placeIn(prefix, who.latestOrder + 1)
  let lookedAt = 0
  let seen = 0
  let isOldestSeen = false
  for (;;) {
    // Mostly the newest one is what is looked for, and all of them are counted.
    const limit = who.seesAll && lookedAt === 0 ? 1 : PER_READ
    const rows = await who.lease.range(events, {
      index: 'relation',
      from: `${prefix}\0`,
      to,
      direction: 'backward',
      limit,
    })
    for (const reply of await who.reader.completeAll(rows)) {
      if (reply.redactedBecause) continue
      lookedAt += 1
      isOldestSeen = isShown(who, reply) && (who.seesAll || (await who.maySee(reply)))
      if (!isOldestSeen) continue
      latest ??= reply
      seen += 1
    }
    const last = rows.at(-1)
    if (latest && who.seesAll) return { latest, count: row.replies - (await repliesOfIgnored(who, root)) }
    if (!last || rows.length < limit) return latest && { latest, count: seen }
    if (lookedAt >= MAX_REPLIES) {
      // "Approximate": whoever sees this far back likely sees the rest, too.
      return latest && { latest, count: isOldestSeen ? row.replies - (lookedAt - seen) : seen }
    }
    to = placeIn(prefix, last.order)
  }
}

async function repliesOfIgnored({ lease, ignored }: Onlooker, root: KeptEvent): Promise<number> {
  let count = 0
  for (const userId of ignored) count += (await lease.get(repliers, replierKey(root.eventId, userId)))?.replies ?? 0
  return count
}

export async function hasParticipated({ lease, userId }: Onlooker, root: KeptEvent): Promise<boolean> {
  return root.pdu.sender === userId || (await lease.get(repliers, replierKey(root.eventId, userId))) !== undefined
}
