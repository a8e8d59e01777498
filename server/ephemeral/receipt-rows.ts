/**
 * Where receipts are kept: in the room's partition, one row for each user, type and thread, and in memory for rooms in use.
 * One small row a room in the home store says when receipts of it last changed, so that no room is opened to find out.
 */
import { collection, type Row, type Store } from '../store/index.ts'

export type ReceiptType = 'm.read' | 'm.read.private'

/** A receipt as it is kept. */
export type ReceiptRow = Row & {
  readonly id: string
  readonly userId: string
  readonly type: ReceiptType
  /** The thread root, `main`, or `null` for an unthreaded receipt. */
  readonly threadId: string | null
  readonly eventId: string
  /** The event's place in the timeline; `null` for an event that we do not have (receipts of other servers only). */
  readonly order: number | null
  /** Milliseconds since the epoch. */
  readonly ts: number
  readonly position: number
}
export const receiptRows = collection<ReceiptRow>({ name: 'receipts', place: 'room', key: 'id', indexes: [] })

export type ReceiptHeadRow = Row & { readonly roomId: string; readonly position: number }
export const receiptHeadRows = collection<ReceiptHeadRow>({
  name: 'receipt-heads',
  place: 'home',
  key: 'roomId',
  indexes: [],
})

/** An unambiguous key, whatever a thread ID of others may hold. */
export function receiptId(userId: string, type: ReceiptType, threadId: string | null): string {
  return JSON.stringify([userId, type, threadId])
}

/** How many rooms' receipts are kept in memory. */
const MAX_ROOMS_IN_MEMORY = 256

/** The receipts of one room, in memory. */
export class RoomReceipts {
  readonly #byId = new Map<string, ReceiptRow>()
  /** By position, oldest first. */
  readonly #list: ReceiptRow[]
  readonly #ofUser = new Map<string, Map<string, ReceiptRow>>()

  constructor(rows: readonly ReceiptRow[]) {
    this.#list = rows.toSorted((a, b) => a.position - b.position)
    for (const row of rows) this.#index(row)
  }

  #index(row: ReceiptRow): void {
    this.#byId.set(row.id, row)
    const own = this.#ofUser.get(row.userId)
    if (own) own.set(row.id, row)
    else this.#ofUser.set(row.userId, new Map([[row.id, row]]))
  }

  get(id: string): ReceiptRow | undefined {
    return this.#byId.get(id)
  }

  ofUser(userId: string): Iterable<ReceiptRow> {
    return this.#ofUser.get(userId)?.values() ?? []
  }

  countOf(userId: string): number {
    return this.#ofUser.get(userId)?.size ?? 0
  }

  /** Those with `since < position <= upTo`, oldest first. The work follows their number. */
  between(since: number, upTo: number): readonly ReceiptRow[] {
    let start = this.#list.length
    while (start > 0 && (this.#list[start - 1] as ReceiptRow).position > since) start -= 1
    let end = this.#list.length
    while (end > start && (this.#list[end - 1] as ReceiptRow).position > upTo) end -= 1
    return this.#list.slice(start, end)
  }

  apply(row: ReceiptRow): void {
    const before = this.#byId.get(row.id)
    if (before !== undefined) {
      if (before.position >= row.position) return
      this.#list.splice(this.#list.indexOf(before), 1)
    }
    let at = this.#list.length
    while (at > 0 && (this.#list[at - 1] as ReceiptRow).position > row.position) at -= 1
    this.#list.splice(at, 0, row)
    this.#index(row)
  }
}

/** Loads rooms' receipts when they are needed, and lets the least used go. */
export class ReceiptCache {
  readonly #store: Store
  readonly #loaded = new Map<string, RoomReceipts>()
  readonly #loading = new Map<string, Promise<RoomReceipts>>()
  /** Rooms that changed while they were being read. */
  readonly #changedMeanwhile = new Set<string>()

  constructor(store: Store) {
    this.#store = store
  }

  async load(roomId: string): Promise<RoomReceipts> {
    const loaded = this.#loaded.get(roomId)
    if (loaded) {
      this.#loaded.delete(roomId)
      this.#loaded.set(roomId, loaded)
      return loaded
    }
    let loading = this.#loading.get(roomId)
    if (!loading) {
      loading = this.#read(roomId).finally(() => this.#loading.delete(roomId))
      this.#loading.set(roomId, loading)
    }
    return loading
  }

  async #read(roomId: string): Promise<RoomReceipts> {
    using lease = await this.#store.openRoom(roomId)
    let rows: readonly ReceiptRow[]
    do {
      this.#changedMeanwhile.delete(roomId)
      rows = await lease.range(receiptRows, { index: 'id' })
    } while (this.#changedMeanwhile.has(roomId))
    const receipts = new RoomReceipts(rows)
    this.#loaded.set(roomId, receipts)
    for (const oldest of this.#loaded.keys()) {
      if (this.#loaded.size <= MAX_ROOMS_IN_MEMORY) break
      this.#loaded.delete(oldest)
    }
    return receipts
  }

  /** After a commit: brings what is in memory up to date. */
  apply(roomId: string, rows: readonly ReceiptRow[]): void {
    if (this.#loading.has(roomId)) this.#changedMeanwhile.add(roomId)
    const loaded = this.#loaded.get(roomId)
    if (loaded) for (const row of rows) loaded.apply(row)
  }
}
