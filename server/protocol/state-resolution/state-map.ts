/**
 * A room's state: from `stateMapKey(type, stateKey)` to the ID of the event that sets the entry. A `Map` is one; a store may
 * give any other object with the same two functions, as long as it does not change while we read.
 */
export interface StateMap {
  get(key: string): string | undefined
  entries(): Iterable<readonly [key: string, eventId: string]>
}

/**
 * A state told by what sets it apart from another: the way to give the forks of a large room, so that the work depends on
 * the forks and not on the room. The result of a resolution is one, too.
 */
export interface StateSet {
  /** Sets that share this object (the same one, not an equal one) are compared by their deltas alone. Absent: empty. */
  readonly base?: StateMap | undefined
  /** Entries that differ from the base; `null` where the base has one and this state has none. */
  readonly delta: ReadonlyMap<string, string | null>
}

/** The key of a state entry in a `StateMap`. No two pairs of type and state key have the same. */
export function stateMapKey(type: string, stateKey: string): string {
  // Only hostile events have NUL in their type; as JSON such a pair has no NUL at all, so it equals no other key.
  return type.includes('\0') ? JSON.stringify([type, stateKey]) : `${type}\0${stateKey}`
}

/** The event that sets an entry in a state; `undefined` where it has none. */
export function entryOf(state: StateSet, key: string): string | undefined {
  const own = state.delta.get(key)
  return own === undefined ? state.base?.get(key) : (own ?? undefined)
}

/** All entries of a state, each once, in no particular order. */
export function* entriesOf(state: StateSet): Generator<readonly [key: string, eventId: string]> {
  if (state.base) for (const entry of state.base.entries()) if (!state.delta.has(entry[0])) yield entry
  for (const [key, eventId] of state.delta) if (eventId !== null) yield [key, eventId]
}

/** A state written out in full. */
export function toMap(state: StateSet): Map<string, string> {
  return new Map(entriesOf(state))
}

const EMPTY: StateMap = new Map<string, string>()

/**
 * The same states, all told by one base. Costs nothing where they share one already; maps without a common base are
 * compared with the first one entry by entry.
 */
export function onOneBase(states: readonly (StateSet | StateMap)[]): {
  readonly base: StateMap
  readonly deltas: readonly ReadonlyMap<string, string | null>[]
} {
  const sets = states.map((state): StateSet => ('delta' in state ? state : { base: state, delta: new Map() }))
  const base = sets[0]?.base ?? EMPTY
  return { base, deltas: sets.map((set) => ((set.base ?? EMPTY) === base ? set.delta : deltaFrom(base, set))) }
}

function deltaFrom(base: StateMap, state: StateSet): ReadonlyMap<string, string | null> {
  const delta = new Map<string, string | null>()
  for (const [key, eventId] of entriesOf(state)) if (base.get(key) !== eventId) delta.set(key, eventId)
  for (const [key] of base.entries()) if (entryOf(state, key) === undefined) delta.set(key, null)
  return delta
}
