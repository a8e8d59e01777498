/**
 * How long messages are kept: by the room's `m.room.retention`, by what the home's administrators set for all rooms, and what an
 * administrator purged by hand. Spec: MSC1763 (the specification has nothing of it).
 */
import { invalidParam } from '../../shared/matrix/errors.ts'
import type { Clock } from '../observe/environment.ts'
import type { JsonObject } from '../protocol/pdu.ts'
import { collection, type Op, put, remove, type Store } from '../store/index.ts'
import type { StateView } from './contract.ts'
import type { KeptEvent } from './event.ts'

/** For all rooms, in milliseconds; `null` where there is none. */
export type RetentionSettings = {
  /** Of rooms that say nothing themselves. */
  readonly defaultMs: number | null
  /** No room's messages go before this time, whatever the room says. */
  readonly shortestMs: number | null
  /** No room's messages stay longer. */
  readonly longestMs: number | null
}

type SettingsRow = RetentionSettings & { readonly id: 'retention' }
const settingsRows = collection<SettingsRow>({ name: 'retention-settings', place: 'home', key: 'id', indexes: [] })

export type RoomPolicyRow = { readonly roomId: string; readonly maxMs: number }
/** Rooms with a lifetime of their own, so that none need be opened to find them. */
export const roomPolicies = collection<RoomPolicyRow>({
  name: 'retention-policies',
  place: 'home',
  key: 'roomId',
  indexes: [],
})

export type PurgeRow = {
  readonly roomId: string
  /** All messages from before this time are purged. */
  readonly doneTs: number
  /** There is none to purge from before this time. */
  readonly nextTs: number
  /** The same of events that nobody sees: rejected and soft-failed ones. */
  readonly unseenDoneTs: number
  readonly unseenNextTs: number
  /** Messages before this place in the timeline were purged by hand, and whatever comes there later is. */
  readonly beforeOrder: number | null
  /** How far that has come; `null`: to the end. */
  readonly fromOrder: number | null
}
export const purges = collection<PurgeRow>({ name: 'purges', place: 'home', key: 'roomId', indexes: [] })

/** Messages from before either are not shown. */
export interface Bounds {
  readonly ts: number
  readonly order: number
}
const NO_BOUNDS: Bounds = { ts: Number.NEGATIVE_INFINITY, order: Number.NEGATIVE_INFINITY }

/** The lifetime that a room asks for. @returns `undefined` for none, or one that makes no sense */
function lifetimeIn(content: JsonObject | undefined): number | undefined {
  const { max_lifetime: max } = content ?? {}
  return Number.isSafeInteger(max) && (max as number) >= 0 ? (max as number) : undefined
}

/** What counts now, in memory; read for every event. */
export class Retention {
  readonly #store: Store
  readonly #clock: Clock
  #settings: RetentionSettings
  /** By room ID: `beforeOrder`. */
  readonly #purgedBefore: Map<string, number>
  readonly #settingsListeners = new Set<() => void>()

  private constructor(store: Store, clock: Clock, settings: RetentionSettings, purgedBefore: Map<string, number>) {
    this.#store = store
    this.#clock = clock
    this.#settings = settings
    this.#purgedBefore = purgedBefore
  }

  static async open(store: Store, clock: Clock): Promise<Retention> {
    const row = await store.home.get(settingsRows, 'retention')
    const { defaultMs = null, shortestMs = null, longestMs = null } = row ?? {}
    const purgedBefore = new Map<string, number>()
    for (const { roomId, beforeOrder } of await store.home.range(purges, { index: 'roomId' })) {
      if (beforeOrder !== null) purgedBefore.set(roomId, beforeOrder)
    }
    return new Retention(store, clock, { defaultMs, shortestMs, longestMs }, purgedBefore)
  }

  get settings(): RetentionSettings {
    return this.#settings
  }

  /** @throws MatrixError 400 M_INVALID_PARAM where the shortest time is longer than the longest */
  async set(settings: RetentionSettings): Promise<void> {
    const { defaultMs, shortestMs, longestMs } = settings
    if (shortestMs !== null && longestMs !== null && shortestMs > longestMs) {
      throw invalidParam('The shortest lifetime is longer than the longest')
    }
    await this.#store.commit(() => [put(settingsRows, { id: 'retention', defaultMs, shortestMs, longestMs })])
    this.#settings = { defaultMs, shortestMs, longestMs }
    for (const listener of this.#settingsListeners) listener()
  }

  onSettings(listener: () => void): void {
    this.#settingsListeners.add(listener)
  }

  /** Whether rooms that say nothing themselves lose messages, too. */
  get isForAllRooms(): boolean {
    return this.#settings.defaultMs !== null || this.#settings.longestMs !== null
  }

  /**
   * The time before which a room's messages are expired.
   * @param maxMs what the room asks for
   * @returns `undefined` where they are kept for ever
   */
  cutoff(maxMs: number | undefined): number | undefined {
    const { defaultMs, shortestMs, longestMs } = this.#settings
    const wished = maxMs ?? defaultMs ?? undefined
    if (wished === undefined && longestMs === null) return undefined
    const lifetime = Math.min(wished ?? Number.POSITIVE_INFINITY, longestMs ?? Number.POSITIVE_INFINITY)
    return this.#clock.now() - Math.max(lifetime, shortestMs ?? 0)
  }

  /** What is not shown of a room any more, whether it is off the disk yet or not. */
  boundsOf(roomId: string, state: StateView): Bounds {
    const cutoff = this.cutoff(lifetimeIn(state.get('m.room.retention')?.pdu.content))
    const order = this.#purgedBefore.get(roomId)
    if (cutoff === undefined && order === undefined) return NO_BOUNDS
    return { ts: cutoff ?? NO_BOUNDS.ts, order: order ?? NO_BOUNDS.order }
  }

  /** The same for each of these rooms that has any; none is opened. */
  async boundsOfAll(roomIds: Iterable<string>): Promise<ReadonlyMap<string, Bounds>> {
    const policies = await this.#store.home.range(roomPolicies, { index: 'roomId' })
    const lifetimes = new Map(policies.map(({ roomId, maxMs }) => [roomId, maxMs]))
    const all = new Map<string, Bounds>()
    for (const roomId of roomIds) {
      const ts = this.cutoff(lifetimes.get(roomId)) ?? NO_BOUNDS.ts
      const order = this.#purgedBefore.get(roomId) ?? NO_BOUNDS.order
      if (ts !== NO_BOUNDS.ts || order !== NO_BOUNDS.order) all.set(roomId, { ts, order })
    }
    return all
  }

  /** The writes that keep the index of lifetimes up to date with the room's state. */
  policyOps(roomId: string, setting: KeptEvent | undefined): readonly Op[] {
    const maxMs = lifetimeIn(setting?.pdu.content)
    return [maxMs === undefined ? remove(roomPolicies, roomId) : put(roomPolicies, { roomId, maxMs })]
  }

  /** An administrator's purge is on disk. */
  purgedBefore(roomId: string, order: number): void {
    this.#purgedBefore.set(roomId, order)
  }
}

/** Whether there is anything that is not shown. */
export const hasEnd = (bounds: Bounds): boolean => bounds !== NO_BOUNDS

/** State never expires. */
export function isGone(bounds: Bounds, event: Pick<KeptEvent, 'pdu' | 'order'>): boolean {
  if (!hasEnd(bounds)) return false
  const { ts, order } = bounds
  if (event.pdu.state_key !== undefined || event.order === null) return false
  return Number(event.pdu.origin_server_ts) < ts || event.order < order
}
