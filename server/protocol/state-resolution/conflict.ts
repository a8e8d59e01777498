import type { StateMap, StateSet } from './state-map.ts'

/** What several states agree on and what not. Its size is that of the deltas: the base is only looked into. */
export interface Conflict {
  readonly base: StateMap
  /** Entries that all states agree on, other than what the base has. */
  readonly agreed: ReadonlyMap<string, string>
  /** The events of each entry that the states do not agree on. */
  readonly disputed: ReadonlyMap<string, ReadonlySet<string>>
  /** The states that hold an event of `disputed`: a bit for each, from the first state on. */
  readonly holders: ReadonlyMap<string, bigint>
  /** All bits. */
  readonly everyone: bigint
  /** An entry of the unconflicted state map. */
  unconflicted(key: string): string | undefined
  /** All entries of the unconflicted state map. As long as the room's state. */
  unconflictedEntries(): Iterable<readonly [key: string, eventId: string]>
}

/**
 * Takes states apart into unconflicted state map and conflicted state set.
 * Spec: rooms/v2 §Definitions; rooms/v1 §State resolution.
 *
 * @param deltas one for each state, 1 or more, against `base`
 * @param absence whether a state that lacks an entry disagrees with one that has it: it does from version 2 of the
 *   algorithm on; in version 1 the entry is taken as it is
 */
export function findConflict(
  base: StateMap,
  deltas: readonly ReadonlyMap<string, string | null>[],
  absence: 'disagrees' | 'agrees',
): Conflict {
  const agreed = new Map<string, string>()
  const disputed = new Map<string, Set<string>>()
  const holders = new Map<string, bigint>()
  const seen = new Set<string>()
  for (const delta of deltas) {
    for (const key of delta.keys()) {
      if (seen.has(key)) continue
      seen.add(key)
      const inBase = base.get(key)
      const values = deltas.map((each) => (each.has(key) ? (each.get(key) ?? undefined) : inBase))
      const events = new Set(values.filter((value) => value !== undefined))
      const isLacking = absence === 'disagrees' && values.includes(undefined)
      const [only] = events
      if (only === undefined) continue
      if (events.size === 1 && !isLacking) {
        agreed.set(key, only)
        continue
      }
      disputed.set(key, events)
      values.forEach((eventId, index) => {
        if (eventId !== undefined) holders.set(eventId, (holders.get(eventId) ?? 0n) | (1n << BigInt(index)))
      })
    }
  }
  return {
    base,
    agreed,
    disputed,
    holders,
    everyone: (1n << BigInt(deltas.length)) - 1n,
    unconflicted: (key) => agreed.get(key) ?? (seen.has(key) ? undefined : base.get(key)),
    *unconflictedEntries() {
      yield* agreed
      for (const entry of base.entries()) if (!seen.has(entry[0])) yield entry
    },
  }
}

/** The resolved state: the unconflicted one with the outcome of the dispute, told as the base and what differs from it. */
export function settle(
  conflict: Conflict,
  deltas: readonly ReadonlyMap<string, string | null>[],
  outcome: ReadonlyMap<string, string>,
): StateSet {
  const { base } = conflict
  const delta = new Map<string, string | null>()
  const set = (key: string, eventId: string | undefined): void => {
    if (base.get(key) !== eventId) delta.set(key, eventId ?? null)
  }
  for (const [key, eventId] of outcome) if (conflict.unconflicted(key) === undefined) set(key, eventId)
  for (const each of deltas) {
    for (const key of each.keys()) set(key, conflict.unconflicted(key) ?? outcome.get(key))
  }
  return { base, delta }
}
