import { type Op, put, remove } from '../store/index.ts'
import type { RoomsCore } from './core.ts'
import type { OpenRoom } from './open-room.ts'
import { transactions } from './store.ts'

/** How long a repeated request is told from a new one. */
const KEPT_MS = 24 * 60 * 60 * 1_000
/** Old ones are removed a few at a time, after this many new ones. */
const PRUNE_EVERY = 64

/** A request as its repetition names it. Spec: client-server-api §Transaction identifiers. */
export interface TransactionScope {
  readonly userId: string
  /** `null` for application services that act without a device: their user ID stands for it. */
  readonly deviceId: string | null
  /** The request's path below the room, without the transaction ID. */
  readonly endpoint: string
  readonly txnId: string
}

export const transactionKey = ({ userId, deviceId, endpoint, txnId }: TransactionScope): string =>
  [userId, deviceId ?? '', endpoint, txnId].join('\u0000')

/** The event that an earlier request with this transaction ID made, once it is durable. Only within `room.enter`. */
export async function findTransaction(room: OpenRoom, key: string): Promise<string | undefined> {
  const underWay = room.transactionsUnderWay.get(key)
  if (underWay) return (await underWay).eventId
  return (await room.lease.get(transactions, key))?.eventId
}

/** The writes that let a later `findTransaction` find the event. */
export async function transactionOps(
  core: RoomsCore,
  room: OpenRoom,
  key: string,
): Promise<(eventId: string) => readonly Op[]> {
  const createdTs = core.environment.clock.now()
  const expired = room.isTimeToPrune(PRUNE_EVERY)
    ? await room.lease.range(transactions, { index: 'createdTs', to: createdTs - KEPT_MS, limit: 2 * PRUNE_EVERY })
    : []
  return (eventId) => [
    put(transactions, { key, createdTs, eventId }, room.roomId),
    ...expired.map((row) => remove(transactions, row.key, room.roomId)),
  ]
}
