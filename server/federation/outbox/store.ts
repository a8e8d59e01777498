/** What of the outbox is on the disk: where destinations stand that are behind, and EDUs that must not be lost. */
import { collection } from '../../store/index.ts'

export type MarkRow = { readonly id: 'mark'; readonly position: number }

/** Up to this stream position all destinations without a row of their own have what they are owed. */
export const marks = collection<MarkRow>({ name: 'outbox-mark', place: 'home', key: 'id', indexes: [] })

export type DestinationRow = {
  readonly server: string
  /** Up to this stream position it has what it is owed. */
  readonly deliveredUpTo: number
  /** Milliseconds since the epoch: since when it lacks something, since when it fails (`null`: it does not). */
  readonly behindSinceTs: number
  readonly failingSinceTs: number | null
}

/** Destinations that are behind; no others. */
export const destinations = collection<DestinationRow>({
  name: 'outbox-destinations',
  place: 'home',
  key: 'server',
  indexes: [],
})

export type EduRow = {
  /** `eduRowKey`. */
  readonly key: string
  /** `orderKey(destination, seq)`. */
  readonly order: string
  readonly destination: string
  /** Later ones have greater numbers, over restarts too. */
  readonly seq: number
  /** A later one takes its place. */
  readonly isKeyed: boolean
  /** JSON of `Edu`. */
  readonly json: string
}

/** EDUs that wait for their destination. */
export const edus = collection<EduRow>({ name: 'outbox-edus', place: 'home', key: 'key', indexes: ['order'] })
