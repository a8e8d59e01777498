import type { Destination } from './destination.ts'
import type { DurableEdus } from './durable-edus.ts'

/** How it stands with a destination that something is to be sent to. */
export interface DestinationStatus {
  readonly server: string
  /** `waiting`: for a place among those that are sent to, or for more to send. */
  readonly state: 'sending' | 'waiting' | 'failing'
  /** Milliseconds since the epoch. */
  readonly failingSinceTs: number | null
  readonly retryTs: number | null
  /** Why the last try failed, in words for administrators. */
  readonly why: string | null
  readonly lacksEvents: boolean
  /** About how many wait. */
  readonly edus: number
}

/** @returns the longest failing first */
export function statusOfAll(destinations: Iterable<Destination>, durable: DurableEdus): readonly DestinationStatus[] {
  const all = [...destinations].map(
    (destination): DestinationStatus => ({
      server: destination.name,
      state: destination.failures > 0 ? 'failing' : destination.isRunning ? 'sending' : 'waiting',
      failingSinceTs: destination.failingSinceTs,
      retryTs: destination.retryTs ?? null,
      why: destination.why ?? null,
      lacksEvents: destination.lacksEvents,
      edus: durable.count(destination.name) + destination.offered.size,
    }),
  )
  const since = ({ failingSinceTs }: DestinationStatus): number => failingSinceTs ?? Number.MAX_SAFE_INTEGER
  return all.sort((a, b) => since(a) - since(b) || (a.server < b.server ? -1 : 1))
}
