/**
 * What one commit is in the journal: a frame whose body is a line of JSON, `[position, [[partition, bytes, drop], …]]`, and
 * then for each of these partitions its changes, a JSON list: `[collection, key, row]` for a put, `[collection, key]` for a
 * remove, `[]` for the room's end. So a start reads the first lines alone, and a room's changes can be copied unread.
 */
import type { Op, Row } from './contract.ts'
import { frameHeadBytes, newFrame } from './frames.ts'
import type { Key } from './rows.ts'

/** A change within one partition. */
export type Change =
  | { readonly collection: string; readonly key: Key; readonly row: Row }
  | { readonly collection: string; readonly key: Key; readonly row?: undefined }
  | 'drop'

export interface Section {
  /** The room's ID, or empty for the server's own. */
  readonly partition: string
  readonly changes: readonly Change[]
  /** Where the JSON lies, counted from the head of the frame. */
  readonly start: number
  readonly length: number
  readonly drop: Drop
}

/** Whether one of a section's changes is the room's end: none (0), one (1), or the last of them (2). */
export type Drop = 0 | 1 | 2

export interface CommitRecord {
  readonly position: number
  readonly frame: Buffer
  readonly sections: readonly Section[]
}

/** @throws RangeError for a commit of more bytes than a frame may have */
export function encodeCommit(position: number, ops: readonly Op[]): CommitRecord {
  const byPartition = new Map<string, Change[]>()
  for (const op of ops) {
    const partition = op.roomId ?? ''
    let changes = byPartition.get(partition)
    if (!changes) {
      changes = []
      byPartition.set(partition, changes)
    }
    changes.push(changeOf(op))
  }
  const parts: { partition: string; changes: Change[]; text: string; length: number; drop: Drop }[] = []
  let total = 0
  for (const [partition, changes] of byPartition) {
    const text = encodeChanges(changes)
    const length = Buffer.byteLength(text)
    total += length
    parts.push({ partition, changes, text, length, drop: dropOf(changes) })
  }
  const line = `${JSON.stringify([position, parts.map((p) => [p.partition, p.length, p.drop])])}\n`
  const lineBytes = Buffer.byteLength(line)
  const frame = newFrame(lineBytes + total)
  let start = frameHeadBytes + frame.write(line, frameHeadBytes)
  const sections = parts.map(({ partition, changes, text, length, drop }): Section => {
    const section = { partition, changes, start, length, drop }
    start += frame.write(text, start)
    return section
  })
  return { position, frame, sections }
}

/** @returns the commit's position and where its sections lie, without reading these */
export function decodeLine(body: Buffer): { position: number; sections: readonly Omit<Section, 'changes'>[] } {
  const end = body.indexOf(10)
  const [position, parts] = JSON.parse(body.toString('utf8', 0, end)) as [number, [string, number, Drop][]]
  let start = frameHeadBytes + end + 1
  return {
    position,
    sections: parts.map(([partition, length, drop]) => {
      const section = { partition, start, length, drop }
      start += length
      return section
    }),
  }
}

function dropOf(changes: readonly Change[]): Drop {
  if (changes.at(-1) === 'drop') return 2
  return changes.includes('drop') ? 1 : 0
}

function changeOf(op: Op): Change {
  if (op.op === 'dropRoom') return 'drop'
  const collection = op.collection.name
  if (op.op === 'remove') return { collection, key: op.key }
  return { collection, key: op.row[op.collection.key] as Key, row: op.row }
}

function encodeChanges(changes: readonly Change[]): string {
  const list = changes.map((change) => {
    if (change === 'drop') return []
    return change.row ? [change.collection, change.key, change.row] : [change.collection, change.key]
  })
  return JSON.stringify(list)
}

export function decodeChanges(json: string): readonly Change[] {
  const list = JSON.parse(json) as ([] | [string, Key] | [string, Key, Row])[]
  return list.map((entry): Change => {
    if (entry.length === 0) return 'drop'
    const [collection, key, row] = entry
    return row ? { collection, key, row: Object.freeze(row) } : { collection, key }
  })
}
