/** `next_batch` of a search: opaque to clients. Spec: data/api/client-server/search.yaml. */
import { invalidParam } from '../../shared/matrix/errors.ts'

export type GroupKey = 'room_id' | 'sender'

/** Where the next page begins. */
export interface PageStart {
  /** Matches with lower IDs than this are looked at. */
  readonly before: number
  /** Of these, by the order that is asked for, what comes after this one. */
  readonly after: { readonly rank: number; readonly id: number } | null
  /** What the first page said of how many there are. */
  readonly count: number
  /** Only results of this group. */
  readonly group: { readonly key: GroupKey; readonly value: string } | null
}

export function batchToken({ before, after, count, group }: PageStart): string {
  const parts = [before, after && [after.rank, after.id], count, group && [group.key, group.value]]
  return Buffer.from(JSON.stringify(parts)).toString('base64url')
}

/** @throws MatrixError 400 M_INVALID_PARAM for a token that is none of ours */
export function parseBatchToken(text: string): PageStart {
  const [before, after, count, group] = partsOf(text)
  const [rank, id] = after ?? []
  const [key, value] = group ?? []
  const isOurs =
    Number.isSafeInteger(before) &&
    Number.isSafeInteger(count) &&
    (after === null || (typeof rank === 'number' && Number.isSafeInteger(id))) &&
    (group === null || ((key === 'room_id' || key === 'sender') && typeof value === 'string'))
  if (!isOurs) throw invalidParam('next_batch is no token of ours')
  return {
    before: before as number,
    after: after && { rank: rank as number, id: id as number },
    count: count as number,
    group: group && { key: key as GroupKey, value: value as string },
  }
}

type Parts = readonly [unknown, readonly unknown[] | null, unknown, readonly unknown[] | null]
const NOTHING: Parts = [undefined, null, undefined, null]

function partsOf(text: string): Parts {
  let parts: unknown
  try {
    parts = JSON.parse(Buffer.from(text, 'base64url').toString())
  } catch {
    // What is no JSON is no token.
    return NOTHING
  }
  if (!Array.isArray(parts) || parts.length !== 4) return NOTHING
  return [1, 3].every((i) => parts[i] === null || Array.isArray(parts[i])) ? (parts as unknown as Parts) : NOTHING
}
