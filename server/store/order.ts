/**
 * One index of one collection: rows sorted by a field, and by key where the field is the same.
 *
 * The index is NeDB's: each table has a NeDB datastore in memory and each field its `ensureIndex`. We put rows into the index
 * and take them out directly, not through the datastore's methods, because these queue behind each other, copy every row, and
 * sort a whole range before its limit applies (measured in `DECISIONS.md`). This file is the only one that knows NeDB.
 */
import Datastore from 'nedb-promises'
import type { Range, Row, Scalar } from './contract.ts'
import { compareValues, type Key } from './rows.ts'

/** What we use of NeDB's index tree; `checkTree` makes sure of it. */
interface Tree {
  insert(value: Scalar, row: Row): void
  delete(value: Scalar): void
  /** The rows of that value: the tree's own list, which may be changed in place while it does not become empty. */
  search(value: Scalar): Row[]
  readonly tree: Node
}
interface Node {
  readonly key?: Scalar
  readonly data: readonly Row[]
  readonly left: Node | null
  readonly right: Node | null
}

/** The datastore of a table, which holds its indexes. */
export function newDatastore(): Datastore<Row> {
  return Datastore.create({ inMemoryOnly: true })
}

export class Order {
  readonly #field: string
  readonly #key: string
  readonly #tree: Tree

  /**
   * @param field the field that it is sorted by
   * @param key the field that identifies a row
   */
  constructor(datastore: Datastore<Row>, field: string, key: string) {
    this.#field = field
    this.#key = key
    this.#tree = treeOf(datastore, field)
  }

  /** Puts the row in, in the place of one with the same value and key. */
  put(row: Row): void {
    const value = row[this.#field] ?? null
    if (value === null) return
    const rows = this.#tree.search(value)
    if (rows.length === 0) {
      this.#tree.insert(value, row)
      return
    }
    const place = this.#place(rows, row)
    if (this.#isAt(rows, place, row)) rows[place] = row
    else rows.splice(place, 0, row)
  }

  /** Takes out the row with this one's value and key. */
  remove(row: Row): void {
    const value = row[this.#field] ?? null
    if (value === null) return
    const rows = this.#tree.search(value)
    const place = this.#place(rows, row)
    if (!this.#isAt(rows, place, row)) return
    if (rows.length === 1) this.#tree.delete(value)
    else rows.splice(place, 1)
  }

  /** `next` in the place of `before`, which has the same key. */
  replace(before: Row, next: Row): void {
    if ((before[this.#field] ?? null) !== (next[this.#field] ?? null)) this.remove(before)
    this.put(next)
  }

  /** Rows within the range, in its order, up to its limit; costs no more than these rows and one descent. */
  collect({ from, to, direction, limit = Number.POSITIVE_INFINITY }: Omit<Range, 'index'>): Row[] {
    const found: Row[] = []
    const isBackward = direction === 'backward'
    for (const rows of isBackward ? this.#walkBackward(to) : this.#walkForward(from)) {
      const value = rows[0]?.[this.#field] as Scalar
      if (isBackward && from !== undefined && compareValues(value, from) < 0) break
      if (!isBackward && to !== undefined && compareValues(value, to) >= 0) break
      if (rows.length === 1) found.push(rows[0] as Row)
      else {
        const some = Math.min(rows.length, limit - found.length)
        if (isBackward) for (let i = 1; i <= some; i++) found.push(rows[rows.length - i] as Row)
        else for (let i = 0; i < some; i++) found.push(rows[i] as Row)
      }
      if (found.length >= limit) break
    }
    return found
  }

  countWithin({ from, to }: Pick<Range, 'from' | 'to'>): number {
    let count = 0
    for (const rows of this.#walkForward(from)) {
      if (to !== undefined && compareValues(rows[0]?.[this.#field] as Scalar, to) >= 0) break
      count += rows.length
    }
    return count
  }

  *#walkForward(from: Scalar | undefined): Generator<readonly Row[]> {
    const path: Node[] = []
    let node = this.#root()
    while (node) {
      if (from === undefined || compareValues(node.key as Scalar, from) >= 0) {
        path.push(node)
        node = node.left
      } else node = node.right
    }
    for (let next = path.pop(); next; next = path.pop()) {
      yield next.data
      for (node = next.right; node; node = node.left) path.push(node)
    }
  }

  *#walkBackward(to: Scalar | undefined): Generator<readonly Row[]> {
    const path: Node[] = []
    let node = this.#root()
    while (node) {
      if (to === undefined || compareValues(node.key as Scalar, to) < 0) {
        path.push(node)
        node = node.right
      } else node = node.left
    }
    for (let next = path.pop(); next; next = path.pop()) {
      yield next.data
      for (node = next.left; node; node = node.right) path.push(node)
    }
  }

  #root(): Node | null {
    const root = this.#tree.tree
    return root.key === undefined ? null : root
  }

  /** The first place in the rows of one value whose key is not before the row's. */
  #place(rows: readonly Row[], row: Row): number {
    const key = row[this.#key] as Key
    let low = 0
    let high = rows.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (compareValues(rows[middle]?.[this.#key] as Key, key) < 0) low = middle + 1
      else high = middle
    }
    return low
  }

  #isAt(rows: readonly Row[], place: number, row: Row): boolean {
    const there = rows[place]
    return there !== undefined && there[this.#key] === row[this.#key]
  }
}

function treeOf(datastore: Datastore<Row>, field: string): Tree {
  // The index is made before the first wait; what follows in there is for files, which this datastore has not.
  void datastore.ensureIndex({ fieldName: field, sparse: true })
  const { indexes } = datastore as unknown as { indexes?: { [field: string]: { tree?: Tree } } }
  const tree = indexes?.[field]?.tree
  if (!tree) throw new Error('this version of NeDB keeps its indexes elsewhere')
  checkTree(tree)
  return tree
}

/** What `Order` relies on, tried out on the empty tree, so that another version of NeDB cannot lose rows quietly. */
function checkTree(tree: Tree): void {
  const row: Row = {}
  tree.insert(1, row)
  const rows = tree.search(1)
  rows.push(row)
  const isLive = tree.search(1).length === 2 && tree.tree.key === 1 && tree.tree.left === null
  rows.pop()
  tree.delete(1)
  if (!isLive || tree.search(1).length !== 0 || tree.tree.key !== undefined) {
    throw new Error('the indexes of this version of NeDB work otherwise')
  }
}
