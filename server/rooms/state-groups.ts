import { type Op, put, type Reader } from '../store/index.ts'
import { type StateGroupRow, stateGroups } from './store.ts'

/** The group of the empty state, before a room's first event. It has no row. */
export const EMPTY_GROUP = 0

/** The event ID of one slot by group; `null` where the slot is empty. */
export type SeenInGroups = Map<number, string | null>

/** Event IDs by `stateSlot`. */
export type SlotIds = ReadonlyMap<string, string>
/** What a group changes; `null` takes a slot away. */
export type SlotChanges = ReadonlyMap<string, string | null>

interface Group {
  readonly prev: number | null
  readonly deltas: number
  readonly entries: SlotChanges
}

/** Complete groups come at least this far apart, and no closer than the state is large: see `add`. */
const MIN_DELTAS_BETWEEN_FULL = 64
/** Entries of all cached groups of one room, about 100 bytes each. */
const MAX_CACHED_ENTRIES = 20_000
const ROWS_PER_READ = 512

/**
 * The states that a room has been in. A group is stored as what it changes in another one; now and then one is stored whole,
 * after as many changes as the state has entries, so that a change costs O(1) on average and reading a state O(its size).
 * Messages have no group of their own: they name the one that they came in.
 */
export class StateGroups {
  readonly #reader: Reader
  readonly #roomId: string
  readonly #cached = new Map<number, Group>()
  /** Not durable yet, so never to be dropped from memory. */
  readonly #staged = new Map<number, Group>()
  #cachedEntries = 0
  #next: number

  private constructor(reader: Reader, roomId: string, next: number) {
    this.#reader = reader
    this.#roomId = roomId
    this.#next = next
  }

  static async open(reader: Reader, roomId: string): Promise<StateGroups> {
    const [newest] = await reader.range(stateGroups, { index: 'id', direction: 'backward', limit: 1 })
    return new StateGroups(reader, roomId, (newest?.id ?? EMPTY_GROUP) + 1)
  }

  /**
   * Makes a group that differs from `prev`.
   * @param size how many entries the new state has
   * @param all gives all entries of the new state; called only where it is stored whole
   * @returns its ID, and the write that must be in the commit of the event that needs it
   */
  add(prev: number, changes: SlotChanges, size: number, all: () => SlotIds): { readonly id: number; readonly op: Op } {
    const id = this.#next
    this.#next += 1
    const before = this.#held(prev)
    // Where the previous group is not in memory its distance is not known: whole is always right.
    const deltas = before ? before.deltas + 1 : Number.POSITIVE_INFINITY
    const isWhole = prev === EMPTY_GROUP || deltas >= Math.max(MIN_DELTAS_BETWEEN_FULL, size)
    const group: Group = isWhole ? { prev: null, deltas: 0, entries: all() } : { prev, deltas, entries: changes }
    this.#staged.set(id, group)
    const row: StateGroupRow = {
      id,
      prev: group.prev,
      deltas: group.deltas,
      entries: JSON.stringify([...group.entries]),
    }
    return { id, op: put(stateGroups, row, this.#roomId) }
  }

  /** The commit with these groups is durable. */
  settle(ids: readonly number[]): void {
    for (const id of ids) {
      const group = this.#staged.get(id)
      if (!group) continue
      this.#staged.delete(id)
      this.#keep(id, group)
    }
  }

  /** A group that was added, but will not be written: nothing came to need it. */
  discard(id: number): void {
    this.#staged.delete(id)
  }

  /** Everything that was staged did not happen. Their IDs are used again. */
  dropStaged(): void {
    for (const id of this.#staged.keys()) this.#next = Math.min(this.#next, id)
    this.#staged.clear()
  }

  /**
   * Gives a durable group what it lacks, and so all that build on it and say nothing else themselves. For states that were not
   * wholly known when they were stored. In memory it is so at once: where the write fails, `forgetRead` is to follow.
   * @returns the write
   */
  async fill(id: number, slots: SlotIds): Promise<Op> {
    const group = await this.#load(id)
    const entries = new Map(group.entries)
    for (const [slot, eventId] of slots) if (!entries.get(slot)) entries.set(slot, eventId)
    this.#cached.delete(id)
    this.#cachedEntries -= group.entries.size
    const { prev, deltas } = group
    this.#keep(id, { prev, deltas, entries })
    return put(stateGroups, { id, prev, deltas, entries: JSON.stringify([...entries]) }, this.#roomId)
  }

  /** The groups that a durable one builds on, from itself to the last complete one. */
  async lineOf(group: number): Promise<readonly number[]> {
    const line: number[] = []
    for (let id: number | null = group; id !== null && id !== EMPTY_GROUP; ) {
      line.push(id)
      id = (this.#held(id) ?? (await this.#load(id))).prev
    }
    return line
  }

  /** Groups are read from the disk again. */
  forgetRead(): void {
    this.#cached.clear()
    this.#cachedEntries = 0
  }

  /** Loads what is needed so that `add` on this group knows how far the last complete one is. */
  async prepare(group: number): Promise<void> {
    if (group !== EMPTY_GROUP) await this.#load(group)
  }

  /** All entries of a group's state. */
  async entriesOf(group: number): Promise<SlotIds> {
    const changes: SlotChanges[] = []
    for (let id: number | null = group; id !== null && id !== EMPTY_GROUP; ) {
      const found: Group = this.#held(id) ?? (await this.#load(id))
      changes.push(found.entries)
      id = found.prev
    }
    const entries = new Map<string, string>()
    for (const change of changes.reverse()) {
      for (const [slot, eventId] of change) {
        if (eventId === null) entries.delete(slot)
        else entries.set(slot, eventId)
      }
    }
    return entries
  }

  /**
   * The event ID of one slot in a group's state, if the groups on the way are in memory; `null` where the slot is empty.
   * @param seen what was found for this slot in other groups; what is found now is added, so that many groups of one room
   * are not walked through again for each of them
   */
  findNow(group: number, slot: string, seen?: SeenInGroups): string | null | undefined {
    const passed: number[] = []
    for (let id: number | null = group; id !== null && id !== EMPTY_GROUP; ) {
      const known = seen?.get(id)
      if (known !== undefined) return remember(seen, passed, known)
      const found = this.#held(id)
      if (!found) return undefined
      passed.push(id)
      const eventId = found.entries.get(slot)
      if (eventId !== undefined) return remember(seen, passed, eventId)
      id = found.prev
    }
    return remember(seen, passed, null)
  }

  /** As `findNow`; reads what is not in memory. */
  async find(group: number, slot: string, seen?: SeenInGroups): Promise<string | null> {
    const passed: number[] = []
    for (let id: number | null = group; id !== null && id !== EMPTY_GROUP; ) {
      const known = seen?.get(id)
      if (known !== undefined) return remember(seen, passed, known)
      const found: Group = this.#held(id) ?? (await this.#load(id))
      passed.push(id)
      const eventId = found.entries.get(slot)
      if (eventId !== undefined) return remember(seen, passed, eventId)
      id = found.prev
    }
    return remember(seen, passed, null)
  }

  #held(id: number): Group | undefined {
    return this.#staged.get(id) ?? this.#cached.get(id)
  }

  async #load(id: number): Promise<Group> {
    const held = this.#held(id)
    if (held) return held
    const row = await this.#reader.get(stateGroups, id)
    if (!row) throw new Error(`state group ${id} of ${this.#roomId} is missing`)
    // The groups that it builds on mostly lie right before it: one read brings many.
    if (row.deltas > 1) {
      const from = id - Math.min(row.deltas, ROWS_PER_READ)
      for (const near of await this.#reader.range(stateGroups, { index: 'id', from, to: id })) this.#keepRow(near)
    }
    return this.#keepRow(row)
  }

  #keepRow(row: StateGroupRow): Group {
    const known = this.#held(row.id)
    if (known) return known
    const group: Group = {
      prev: row.prev,
      deltas: row.deltas,
      entries: new Map(JSON.parse(row.entries) as [string, string | null][]),
    }
    this.#keep(row.id, group)
    return group
  }

  #keep(id: number, group: Group): void {
    this.#cached.set(id, group)
    this.#cachedEntries += group.entries.size
    for (const [oldest, { entries }] of this.#cached) {
      if (this.#cachedEntries <= MAX_CACHED_ENTRIES || oldest === id) break
      this.#cached.delete(oldest)
      this.#cachedEntries -= entries.size
    }
  }
}

/** @param passed the groups in which the slot is found to hold this */
function remember(seen: SeenInGroups | undefined, passed: readonly number[], eventId: string | null): string | null {
  if (seen) for (const id of passed) seen.set(id, eventId)
  return eventId
}
