import { type Op, put, type RoomLease, remove } from '../store/index.ts'
import type { KeptEvent } from './event.ts'
import { placeIn, relationIn, relationPrefix } from './relation.ts'
import { type AggregateRow, aggregates, type ReplierRow, replierKey, repliers } from './relation-store.ts'
import { events } from './store.ts'

/** Numbers that one event changes, to be written in its commit. */
export interface AggregateChanges {
  readonly aggregates: readonly AggregateRow[]
  readonly repliers: readonly ReplierRow[]
}
export const NO_CHANGES: AggregateChanges = { aggregates: [], repliers: [] }

const PER_READ = 32

/** A room's numbers as the next event finds them: those on disk, and those whose commit is under way. */
export class Aggregates {
  readonly #lease: RoomLease
  #isEmpty: boolean
  #rows = new Map<string, AggregateRow>()
  #repliers = new Map<string, ReplierRow>()

  constructor(lease: RoomLease, isEmpty: boolean) {
    this.#lease = lease
    this.#isEmpty = isEmpty
  }

  static async open(lease: RoomLease): Promise<Aggregates> {
    return new Aggregates(lease, (await lease.count(aggregates)) === 0)
  }

  /** There is nothing to aggregate in the whole room, so that nothing need be looked up. */
  get isEmpty(): boolean {
    return this.#isEmpty
  }

  /** As of the head. Only within `room.enter`. */
  async find(parent: string): Promise<AggregateRow> {
    const row = this.#rows.get(parent) ?? (await this.#lease.get(aggregates, parent))
    return row ?? { parent, edits: 0, references: 0, replies: 0, latestReply: null }
  }

  /** As of the head. Only within `room.enter`. */
  async repliesOf(root: string, userId: string): Promise<number> {
    const key = replierKey(root, userId)
    return (this.#repliers.get(key) ?? (await this.#lease.get(repliers, key)))?.replies ?? 0
  }

  stage(changes: AggregateChanges): void {
    for (const row of changes.aggregates) this.#rows.set(row.parent, row)
    for (const row of changes.repliers) this.#repliers.set(row.key, row)
  }

  /** These are on disk. */
  settle(changes: AggregateChanges): void {
    if (changes.aggregates.length > 0) this.#isEmpty = false
    for (const row of changes.aggregates) if (this.#rows.get(row.parent) === row) this.#rows.delete(row.parent)
    for (const row of changes.repliers) if (this.#repliers.get(row.key) === row) this.#repliers.delete(row.key)
  }

  dropStaged(): void {
    this.#rows.clear()
    this.#repliers.clear()
  }
}

export function aggregateOps(changes: AggregateChanges, roomId: string): readonly Op[] {
  const ops: Op[] = []
  for (const row of changes.aggregates) {
    const isEmpty = row.edits + row.references + row.replies === 0
    ops.push(isEmpty ? remove(aggregates, row.parent, roomId) : put(aggregates, row, roomId))
  }
  for (const row of changes.repliers) {
    ops.push(row.replies === 0 ? remove(repliers, row.key, roomId) : put(repliers, row, roomId))
  }
  return ops
}

/** What a room gives to whoever counts. */
interface Counted {
  readonly aggregates: Aggregates
  readonly lease: RoomLease
  /** Events whose commit is under way, in their newest form. */
  staged(): Iterable<KeptEvent>
}

/**
 * How the numbers change with an event that is about to be staged. Only within `room.enter`.
 *
 * @param event the new one; hidden ones and those without a place relate to nothing
 * @param redacted what it redacts, as it was before
 */
export async function aggregateChanges(
  room: Counted,
  event: KeptEvent,
  redacted: KeptEvent | undefined,
): Promise<AggregateChanges> {
  const added = aggregatedRelation(event)
  const removed = redacted && aggregatedRelation(redacted)
  if (!added && !removed) return NO_CHANGES
  const rows: AggregateRow[] = []
  const repliersChanged: ReplierRow[] = []
  if (added) {
    const before = await room.aggregates.find(added.parent)
    rows.push(withOne(before, added.relType, event.order ?? 0))
    if (added.relType === 'm.thread') repliersChanged.push(await replier(room, added.parent, event, 1, []))
  }
  if (removed && redacted) {
    // A redaction that relates to the event which lost the other one has changed its row already.
    const before = rows.find(({ parent }) => parent === removed.parent) ?? (await room.aggregates.find(removed.parent))
    if (removed.relType === 'm.thread') {
      const latestReply =
        redacted.order === before.latestReply
          ? await newestReply(room, removed.parent, redacted.eventId)
          : before.latestReply
      rows.push({ ...before, replies: less(before.replies), latestReply })
      repliersChanged.push(await replier(room, removed.parent, redacted, -1, repliersChanged))
    } else if (removed.relType === 'm.replace') rows.push({ ...before, edits: less(before.edits) })
    else rows.push({ ...before, references: less(before.references) })
  }
  return { aggregates: rows, repliers: repliersChanged }
}

const less = (count: number): number => Math.max(0, count - 1)

/** A row with one more child, of this order. */
export function withOne(row: AggregateRow, relType: string, order: number): AggregateRow {
  if (relType === 'm.replace') return { ...row, edits: row.edits + 1 }
  if (relType === 'm.reference') return { ...row, references: row.references + 1 }
  return { ...row, replies: row.replies + 1, latestReply: Math.max(row.latestReply ?? order, order) }
}

/** The relation of an event that counts, if it is one of those that are aggregated. */
export function aggregatedRelation(event: KeptEvent): ReturnType<typeof relationIn> {
  if (event.isHidden || event.order === null) return undefined
  const relation = relationIn(event.pdu)
  return relation && AGGREGATED.has(relation.relType) ? relation : undefined
}
/** Spec: annotations "are not aggregated by the server". */
const AGGREGATED: ReadonlySet<string> = new Set(['m.replace', 'm.reference', 'm.thread'])

async function replier(
  room: Counted,
  root: string,
  { pdu }: KeptEvent,
  by: 1 | -1,
  changed: readonly ReplierRow[],
): Promise<ReplierRow> {
  const key = replierKey(root, pdu.sender)
  const before = changed.find((row) => row.key === key)?.replies ?? (await room.aggregates.repliesOf(root, pdu.sender))
  return { key, replies: Math.max(0, before + by) }
}

/** Order of the newest event of a thread, without the one that is being redacted. */
async function newestReply(room: Counted, root: string, without: string): Promise<number | null> {
  const known = new Map<string, KeptEvent>()
  let newest: number | null = null
  for (const event of room.staged()) {
    known.set(event.eventId, event)
    const relation = aggregatedRelation(event)
    if (event.eventId === without || relation?.relType !== 'm.thread' || relation.parent !== root) continue
    newest = Math.max(newest ?? Number.NEGATIVE_INFINITY, event.order ?? Number.NEGATIVE_INFINITY)
  }
  const prefix = relationPrefix(root, 'm.thread')
  for (let to = `${prefix}\0\uffff`; ; ) {
    const rows = await room.lease.range(events, {
      index: 'relation',
      from: `${prefix}\0`,
      to,
      direction: 'backward',
      limit: PER_READ,
    })
    for (const { eventId, order, marks } of rows) {
      const isRedacted = known.get(eventId)?.redactedBecause !== undefined || marks?.includes('"redactedBy":') === true
      if (eventId === without || isRedacted) continue
      return newest === null ? order : Math.max(newest, order)
    }
    const last = rows.at(-1)
    if (!last || rows.length < PER_READ) return newest
    to = placeIn(prefix, last.order)
  }
}
