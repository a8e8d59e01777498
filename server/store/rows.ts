/** What the contract asks of rows, keys and ranges, checked before anything is written; the same for every engine. */
import type { Collection, Op, Range, Row, Scalar } from './contract.ts'

export type Key = string | number

/**
 * A frozen copy of the row, as it will come back from a reader: `-0` is kept as `0`.
 * @throws TypeError for a field that is no scalar, for NaN and infinities, and for a key that the collection cannot have
 */
export function checkedRow(collection: Collection, row: Row): Row {
  const copy: Record<string, Scalar> = { ...row }
  for (const field in copy) {
    const value = copy[field]
    if (typeof value === 'string' || typeof value === 'boolean' || value === null) continue
    if (typeof value !== 'number' || !Number.isFinite(value)) {
      throw new TypeError(`${collection.name}.${field} is no scalar that can be stored`)
    }
    if (value === 0) copy[field] = 0
  }
  checkedKey(collection, copy[collection.key])
  return Object.freeze(copy)
}

/** @throws TypeError for what is neither a string nor a finite number; keys of segmented collections are safe integers */
export function checkedKey(collection: Collection, key: Scalar | undefined): Key {
  if (typeof key === 'string' && !collection.segmented) return key
  if (typeof key === 'number' && (collection.segmented ? Number.isSafeInteger(key) : Number.isFinite(key))) {
    return key === 0 ? 0 : key
  }
  throw new TypeError(`${collection.name}: its key is ${collection.segmented ? 'an integer' : 'a string or a number'}`)
}

/** @throws TypeError where the room is missing for a room's collection, or given for one of the server */
export function checkPlace(collection: Collection, roomId: string | undefined): void {
  if ((collection.place === 'room') !== (roomId !== undefined)) {
    throw new TypeError(`${collection.name} is a collection of the ${collection.place}`)
  }
}

/** @returns the same change with its row checked and copied */
export function checkedOp(op: Op): Op {
  if (op.op === 'dropRoom') {
    if (op.roomId === '') throw new TypeError('a room ID is not empty')
    return op
  }
  checkPlace(op.collection, op.roomId)
  if (op.roomId === '') throw new TypeError('a room ID is not empty')
  if (op.op === 'remove') return { ...op, key: checkedKey(op.collection, op.key) }
  return { ...op, row: checkedRow(op.collection, op.row) }
}

/** @throws TypeError for an index that was not declared, and for a limit that is no integer of 1 or more */
export function checkRange(collection: Collection, range: Range): void {
  if (range.index !== collection.key && !collection.indexes.includes(range.index)) {
    throw new TypeError(`${collection.name} has no index ${range.index}`)
  }
  if (range.limit !== undefined && !(Number.isInteger(range.limit) && range.limit >= 1)) {
    throw new TypeError(`${collection.name}: the limit of a range is an integer of 1 or more`)
  }
}

const ranks = ['number', 'string', 'boolean']

/**
 * The order of an index, which is NeDB's: numbers before strings (by UTF-16 code unit) before booleans.
 * @returns negative, zero or positive
 */
export function compareValues(a: Scalar, b: Scalar): number {
  if (typeof a !== typeof b) return ranks.indexOf(typeof a) - ranks.indexOf(typeof b)
  if (a === b) return 0
  return (a as string) < (b as string) ? -1 : 1
}

/** Whether the value lies within the bounds: `from` inclusive, `to` exclusive. */
export function isWithin(value: Scalar, { from, to }: Pick<Range, 'from' | 'to'>): boolean {
  if (from !== undefined && compareValues(value, from) < 0) return false
  return to === undefined || compareValues(value, to) < 0
}
