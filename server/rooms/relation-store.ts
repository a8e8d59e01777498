/** What is kept of relations beside the events' own rows: numbers that would otherwise have to be counted. */
import { collection } from '../store/index.ts'

export type AggregateRow = {
  /** An event to which others relate in a way that is aggregated. It need not be known. */
  readonly parent: string
  /** Whether valid or not. */
  readonly edits: number
  readonly references: number
  readonly replies: number
  /** Order of the newest event of its thread; `null` without one. */
  readonly latestReply: number | null
}

/** Events with something to aggregate; events without a row have nothing. */
export const aggregates = collection<AggregateRow>({
  name: 'aggregates',
  place: 'room',
  key: 'parent',
  indexes: ['latestReply'],
})

export type ReplierRow = {
  /** `replierKey`. */
  readonly key: string
  readonly replies: number
}

/** How many events of a thread each user sent. */
export const repliers = collection<ReplierRow>({ name: 'thread-repliers', place: 'room', key: 'key', indexes: [] })
export const replierKey = (root: string, userId: string): string => `${root}\0${userId}`
