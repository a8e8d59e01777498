import type { RoomVersionRules } from '../protocol/room-versions.ts'
import { type Op, put } from '../store/index.ts'
import { aggregatedRelation, withOne } from './aggregates.ts'
import type { RoomsCore } from './core.ts'
import { KeptEvent } from './event.ts'
import { type EventLinks, linksOf, relationIn } from './relation.ts'
import { type AggregateRow, aggregates, type ReplierRow, replierKey, repliers } from './relation-store.ts'
import { type EventRow, eventRow, events, INDEX_VERSION, type RoomRow, readEvent, roomIndex } from './store.ts'

const ROWS_PER_COMMIT = 500

/**
 * Indexes the events of a room from before `INDEX_VERSION`. Interrupted, it is begun anew the next time: each write says how
 * things are, none how they change.
 */
export async function indexRoom(core: RoomsCore, room: RoomRow, rules: RoomVersionRules): Promise<void> {
  const { roomId } = room
  using lease = await core.store.openRoom(roomId)
  const numbers = new Map<string, AggregateRow>()
  const replies = new Map<string, ReplierRow>()
  const linksById = new Map<string, EventLinks>()
  for (let from: number | undefined; ; ) {
    const rows: readonly EventRow[] = await lease.range(events, {
      index: 'order',
      limit: ROWS_PER_COMMIT,
      ...(from !== undefined && { from }),
    })
    const ops: Op[] = []
    for (const row of rows) {
      const event = indexed({ roomId, rules }, row, linksById)
      if (event.links) linksById.set(row.eventId, event.links)
      count(event, numbers, replies)
      // The marks stay as they are: they name events that were not read here.
      ops.push(put(events, { ...eventRow(event, row.isHead), marks: row.marks }, roomId))
    }
    if (ops.length > 0) await core.store.commit(() => ops)
    const last = rows.at(-1)
    if (!last || rows.length < ROWS_PER_COMMIT) break
    from = last.order + 1
  }
  await core.store.commit(() => [
    ...[...numbers.values()].map((row) => put(aggregates, row, roomId)),
    ...[...replies.values()].map((row) => put(repliers, row, roomId)),
    put(roomIndex, { ...room, indexVersion: INDEX_VERSION }),
  ])
  core.environment.logger.info({ event: 'room.indexed', roomId })
}

function indexed(
  room: { readonly roomId: string; readonly rules: RoomVersionRules },
  row: EventRow,
  linksById: ReadonlyMap<string, EventLinks>,
): KeptEvent {
  const event = new KeptEvent(readEvent(room, row).facts)
  const relation = event.isHidden ? undefined : relationIn(event.pdu)
  if (!relation) return event
  const { eventId, pdu } = event
  return event.with({ links: linksOf({ eventId, pdu, order: row.order }, relation, linksById.get(relation.parent)) })
}

function count(event: KeptEvent, numbers: Map<string, AggregateRow>, replies: Map<string, ReplierRow>): void {
  const relation = aggregatedRelation(event)
  if (!relation || event.order === null) return
  const { parent, relType } = relation
  const row = numbers.get(parent) ?? { parent, edits: 0, references: 0, replies: 0, latestReply: null }
  numbers.set(parent, withOne(row, relType, event.order))
  if (relType !== 'm.thread') return
  const key = replierKey(parent, event.pdu.sender)
  replies.set(key, { key, replies: (replies.get(key)?.replies ?? 0) + 1 })
}
