/**
 * The store's contract in its simplest form: sorted arrays in memory, nothing on disk. Tests of other slices run on it, and
 * the conformance suite runs on it beside the real engine, so that the two cannot drift apart.
 */

import { Declarations } from '../../server/store/declarations.ts'
import { Exclusive } from '../../server/store/exclusive.ts'
import type { Collection, Op, Range, Reader, RoomLease, Row, Scalar, Store } from '../../server/store/index.ts'
import { checkedKey, checkedOp, checkPlace, checkRange, compareValues, type Key } from '../../server/store/rows.ts'

interface Entry {
  readonly value: Scalar
  readonly key: Key
  readonly row: Row
}

/** The first place in `entries` whose value (and, if given, key) is not before the wanted one. */
function lowerBound(entries: readonly Entry[], value: Scalar, key?: Key): number {
  let low = 0
  let high = entries.length
  while (low < high) {
    const middle = (low + high) >> 1
    const entry = entries[middle] as Entry
    const order = compareValues(entry.value, value) || (key === undefined ? 0 : compareValues(entry.key, key))
    if (order < 0) low = middle + 1
    else high = middle
  }
  return low
}

class Table {
  readonly #rows = new Map<Key, Row>()
  readonly #orders = new Map<string, Entry[]>()

  constructor(collection: Collection) {
    for (const field of new Set([collection.key, ...collection.indexes])) this.#orders.set(field, [])
  }

  put(key: Key, row: Row): void {
    this.remove(key)
    this.#rows.set(key, row)
    for (const [field, entries] of this.#orders) {
      const value = row[field] ?? null
      if (value !== null) entries.splice(lowerBound(entries, value, key), 0, { value, key, row })
    }
  }

  remove(key: Key): void {
    const row = this.#rows.get(key)
    if (!row) return
    this.#rows.delete(key)
    for (const [field, entries] of this.#orders) {
      const value = row[field] ?? null
      if (value !== null) entries.splice(lowerBound(entries, value, key), 1)
    }
  }

  get(key: Key): Row | undefined {
    return this.#rows.get(key)
  }

  within({ index, from, to }: Range): readonly Entry[] {
    const entries = this.#orders.get(index) ?? []
    const start = from === undefined ? 0 : lowerBound(entries, from)
    const end = to === undefined ? entries.length : lowerBound(entries, to)
    return entries.slice(start, Math.max(start, end))
  }

  get size(): number {
    return this.#rows.size
  }
}

/** @returns an empty store that lives as long as the test holds it */
export function openMemoryStore(): Store {
  const home = new Map<string, Table>()
  const rooms = new Map<string, Map<string, Table>>()
  const exclusive = new Exclusive()
  const declarations = new Declarations()
  let visible = 0
  let assigned = 0
  let closed = false
  let building = false
  let applied: Promise<unknown> = Promise.resolve()

  function tableFor(collection: Collection, roomId: string | undefined): Table {
    let partition = home
    if (roomId !== undefined) {
      partition = rooms.get(roomId) ?? new Map()
      rooms.set(roomId, partition)
    }
    const table = partition.get(collection.name) ?? new Table(collection)
    partition.set(collection.name, table)
    return table
  }

  function apply(op: Op): void {
    if (op.op === 'dropRoom') rooms.delete(op.roomId)
    else if (op.op === 'remove') tableFor(op.collection, op.roomId).remove(op.key)
    else tableFor(op.collection, op.roomId).put(op.row[op.collection.key] as Key, op.row)
  }

  function builtOps(build: (position: number) => readonly Op[], position: number): readonly Op[] {
    building = true
    try {
      const ops = build(position).map(checkedOp)
      for (const op of ops) if (op.op !== 'dropRoom') declarations.note(op.collection)
      return ops
    } finally {
      building = false
    }
  }

  function requireOpen(): void {
    if (closed) throw new Error('the store is closed')
  }

  function reader(roomId: string | undefined, isOpen: () => boolean): Reader {
    function table(collection: Collection): Table {
      requireOpen()
      if (!isOpen()) throw new Error(`the lease of ${roomId} was given back`)
      checkPlace(collection, roomId)
      declarations.note(collection)
      return tableFor(collection, roomId)
    }
    return {
      async get<R extends Row>(collection: Collection<R>, key: Key) {
        return table(collection).get(checkedKey(collection, key)) as R | undefined
      },
      async range<R extends Row>(collection: Collection<R>, range: Range) {
        checkRange(collection, range)
        let rows = table(collection)
          .within(range)
          .map((entry) => entry.row)
        if (range.direction === 'backward') rows = rows.reverse()
        return rows.slice(0, range.limit) as readonly Row[] as readonly R[]
      },
      async count(collection: Collection, range?: Omit<Range, 'limit' | 'direction'>) {
        if (!range) return table(collection).size
        checkRange(collection, range)
        return table(collection).within(range).length
      },
    }
  }

  return {
    get position() {
      return visible
    },
    home: reader(undefined, () => true),
    async openRoom(roomId): Promise<RoomLease> {
      requireOpen()
      if (roomId === '') throw new TypeError('a room ID is not empty')
      let isOpen = true
      return {
        ...reader(roomId, () => isOpen),
        roomId,
        [Symbol.dispose]() {
          isOpen = false
        },
      }
    },
    async commit(build) {
      requireOpen()
      if (building) throw new Error('a commit cannot be built within another')
      const position = assigned + 1
      const changes = builtOps(build, position)
      assigned = position
      // As with a disk: what was committed is seen later, not within the same turn.
      applied = applied.then(() => {
        for (const change of changes) apply(change)
        visible = position
      })
      await applied
      return position
    },
    async scrub(roomIds) {
      requireOpen()
      return new Set(roomIds)
    },
    exclusive: (key, work) => exclusive.run(key, work),
    async [Symbol.asyncDispose]() {
      await applied
      closed = true
    },
  }
}
