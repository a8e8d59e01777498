/**
 * What the rest of the server may ask of the store, and what it may rely on. See ../../../shared/storage.md for why.
 *
 * Rows are flat: their fields are scalars. Whatever is nested (events, content) is one JSON string in a field, so that no
 * key of another's making is ever a field name. The field named by the collection's `key` identifies the row.
 */
export type Scalar = string | number | boolean | null
export type Row = { readonly [field: string]: Scalar }

/**
 * What kind of rows a collection holds. Declared once, as a constant, by the slice that owns it.
 * An index is over one scalar field; for an order over two, keep a composed field (see `orderKey`).
 */
export interface Collection<R extends Row = Row> {
  /** kebab-case, unique in the server, e.g. `access-tokens`. */
  readonly name: string
  /** `home`: one for the server. `room`: one in each room's partition. */
  readonly place: 'home' | 'room'
  readonly key: string
  /** Fields that `range` and `count` may use besides the key. Rows whose field is `null` are not in that index. */
  readonly indexes: readonly string[]
  /**
   * For a room's timeline: `key` is a dense integer, and rows of full stretches are kept in sealed segment files that are
   * read when needed and never rewritten by a snapshot. Indexed fields of sealed rows never change, other fields may (rarely).
   */
  readonly segmented?: boolean
  /** Only for the compiler: what a row of it looks like. */
  readonly __row?: R
}

/** Row types are written as `type`, not `interface`, so that they fit `Row`. */
export function collection<R extends Row>(
  definition: Omit<Collection<R>, '__row' | 'key' | 'indexes'> & {
    readonly key: keyof R & string
    readonly indexes: readonly (keyof R & string)[]
  },
): Collection<R> {
  return definition
}

/** A composed index value that sorts first by `prefix`, then by number. */
export function orderKey(prefix: string, n: number): string {
  return `${prefix}\u0000${String(n).padStart(16, '0')}`
}

export interface Range {
  /** The key or one of the indexes. */
  readonly index: string
  /** Inclusive. Strings compare by UTF-16 code unit, numbers as numbers. */
  readonly from?: string | number
  /** Exclusive. */
  readonly to?: string | number
  readonly direction?: 'forward' | 'backward'
  /** 1 or more; without it all. */
  readonly limit?: number
}

export interface Reader {
  get<R extends Row>(collection: Collection<R>, key: string | number): Promise<R | undefined>
  /** Rows in the order of the index; rows with the same value in the order of their keys. */
  range<R extends Row>(collection: Collection<R>, range: Range): Promise<readonly R[]>
  /** How many rows: all without a range, else those within. Costs no scan without a range. */
  count(collection: Collection, range?: Omit<Range, 'limit' | 'direction'>): Promise<number>
}

/** A room's partition, held open until disposed; afterwards it may be closed by least use. */
export interface RoomLease extends Reader, Disposable {
  readonly roomId: string
}

export type Op =
  | { readonly op: 'put'; readonly collection: Collection; readonly roomId?: string; readonly row: Row }
  | { readonly op: 'remove'; readonly collection: Collection; readonly roomId?: string; readonly key: string | number }
  /** Removes a room's whole partition (all rows, files). */
  | { readonly op: 'dropRoom'; readonly roomId: string }

/** Inserts or replaces the row. `roomId` exactly where the collection's place is `room`. */
export function put<R extends Row>(collection: Collection<R>, row: R, roomId?: string): Op {
  return roomId === undefined ? { op: 'put', collection, row } : { op: 'put', collection, row, roomId }
}

/** Removes the row; removing one that is not there is no error. */
export function remove<R extends Row>(collection: Collection<R>, key: string | number, roomId?: string): Op {
  return roomId === undefined ? { op: 'remove', collection, key } : { op: 'remove', collection, key, roomId }
}

export interface Store extends AsyncDisposable {
  /** The stream position of the newest commit that readers can see; 0 at first. */
  readonly position: number
  readonly home: Reader
  /** Opens the room's partition (empty when it is new). */
  openRoom(roomId: string): Promise<RoomLease>
  /**
   * All or nothing over any number of collections and rooms. `build` is called at once, synchronously, with this commit's stream
   * position; positions grow by one and commits become visible in their order, so a reader at position P has seen all up to P.
   * Resolves when the change is durable and visible. An empty list takes a position, too.
   * @throws StorageFull when the disk has no room: nothing happened, and a later try may succeed
   * @throws StorageFailed after an error of the disk: read-only until started anew
   */
  commit(build: (position: number) => readonly Op[]): Promise<number>
  /**
   * Takes what was replaced or removed before this call off the disk, where otherwise it stays until so much has changed that writing
   * anew is worth it: out of the files of these rooms, out of those of `home`, and out of the journal. Rows are as they were.
   * @returns the rooms of which that is true now: not those whose files are damaged
   * @throws StorageFull, StorageFailed: what was not reached stays until the next call
   */
  scrub(roomIds: readonly string[]): Promise<ReadonlySet<string>>
  /** Runs works of the same key one after the other, so that one may read, decide and commit undisturbed. Not re-entrant. */
  exclusive<T>(key: string, work: () => Promise<T>): Promise<T>
}

/** The disk is full: the write was refused, nothing of it is seen, later ones may succeed. */
export class StorageFull extends Error {
  override readonly name = 'StorageFull'
}

/** The disk failed on a write or a sync: read-only until started anew. */
export class StorageFailed extends Error {
  override readonly name = 'StorageFailed'
}
