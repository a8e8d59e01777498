import { serverNameOf } from '../../shared/matrix/identifiers.ts'
import type { OwedPdu, OwedPdus } from '../federation/index.ts'
import { getRoomVersion } from '../protocol/room-versions.ts'
import { type RoomLease, remove } from '../store/index.ts'
import type { RoomsCore } from './core.ts'
import { KeptEvent } from './event.ts'
import { isOwed } from './room-servers.ts'
import { type EventRow, events, farewells, readEvent, roomIndex, roomServers } from './store.ts'
import { UndeliveredEvents } from './undelivered-events.ts'

const ROWS_PER_READ = 100

/** Called with the servers that something is owed to, and the stream position of it. */
export type OwedListener = (servers: readonly string[], position: number) => void

/** What of one room a server is to get: events with `since < order <= until`. */
interface Stretch {
  readonly roomId: string
  readonly since: number
  /** Where the server left; absent while it is in the room. */
  readonly until?: number
  /** Stream position of the last event that may be owed. */
  readonly lastPosition: number
}

/**
 * What other servers are to have from us, read from the rooms themselves: what was said lately from memory, all else from the
 * disk, without opening a room for it. Nothing of before a server came into a room is ever given to it.
 */
export class OwedEvents implements OwedPdus, Disposable {
  readonly #core: RoomsCore
  readonly #lately: UndeliveredEvents
  readonly #listeners = new Set<OwedListener>()
  readonly #endSubscription: () => void

  constructor(core: RoomsCore) {
    this.#core = core
    this.#lately = new UndeliveredEvents(core.environment, core.store.position)
    this.#endSubscription = core.announcer.onEvent(({ position, event, servers }) => {
      const kept = event as KeptEvent
      this.#lately.redact(kept)
      if (!isOwed(core, kept)) return
      const others = this.#lately.add(position, kept, servers)
      if (others.length > 0) for (const listener of this.#listeners) listener(others, position)
    })
  }

  /** @returns a function that ends the subscription */
  onOwed(listener: OwedListener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  async owedTo(destination: string, after: number, limit: number): ReturnType<OwedPdus['owedTo']> {
    const lately = this.#lately.since(destination, after, limit)
    if (lately) return lately
    const now = this.#core.store.position
    let picks: OwedPdu[] = []
    let upTo = now
    for (const stretch of await this.#stretches(destination, after)) {
      const read = await this.#read(stretch, { destination, after, upTo, limit })
      picks.push(...read.events)
      upTo = Math.min(upTo, read.upTo)
      if (picks.length > 4 * limit) ({ picks, upTo } = cut(picks, upTo, limit))
    }
    const { picks: pdus, upTo: reached } = cut(picks, upTo, limit)
    return { pdus, upTo: reached, isComplete: reached >= now }
  }

  async newestOwedTo(destination: string, after: number): ReturnType<OwedPdus['newestOwedTo']> {
    const upTo = this.#core.store.position
    const pdus: OwedPdu[] = []
    for (const stretch of await this.#stretches(destination, after)) {
      const newest = await this.#newest(stretch, destination, after)
      if (newest) pdus.push(newest)
    }
    return { pdus: pdus.sort(byPosition), upTo }
  }

  async serversOwed(after: number): Promise<ReadonlySet<string>> {
    const { store, owedChanges } = this.#core
    const servers = new Set<string>()
    for (const [roomId, position] of owedChanges) {
      if (position <= after) continue
      const rows = await store.home.range(roomServers, { index: 'roomId', from: roomId, to: `${roomId}\u0000` })
      for (const { server } of rows) servers.add(server)
    }
    for (const { server } of await store.home.range(farewells, { index: 'position', from: after + 1 })) {
      servers.add(server)
    }
    return servers
  }

  async delivered(upTo: (server: string) => number): Promise<void> {
    const { store } = this.#core
    if ((await store.home.count(farewells)) === 0) return
    const done = (await store.home.range(farewells, { index: 'position' })).filter(
      ({ server, position }) => position <= upTo(server),
    )
    if (done.length > 0) await store.commit(() => done.map(({ key }) => remove(farewells, key)))
  }

  [Symbol.dispose](): void {
    this.#endSubscription()
  }

  /** In which rooms something may be owed after a position. */
  async #stretches(destination: string, after: number): Promise<readonly Stretch[]> {
    const { store, owedChanges } = this.#core
    const range = { index: 'server', from: destination, to: `${destination}\u0000` } as const
    const stretches: Stretch[] = []
    for (const { roomId, since } of await store.home.range(roomServers, range)) {
      const lastPosition = owedChanges.get(roomId) ?? 0
      if (lastPosition > after) stretches.push({ roomId, since, lastPosition })
    }
    for (const { roomId, since, until, position } of await store.home.range(farewells, range)) {
      if (position > after) stretches.push({ roomId, since, until, lastPosition: position })
    }
    return stretches
  }

  /** Events of whole commits, about as many as the limit says. */
  async #read(
    stretch: Stretch,
    wish: { readonly destination: string; readonly after: number; readonly upTo: number; readonly limit: number },
  ): Promise<{ readonly events: readonly KeptEvent[]; readonly upTo: number }> {
    const { destination, limit, upTo } = wish
    const found: KeptEvent[] = []
    using lease = await this.#core.store.openRoom(stretch.roomId)
    const read = await this.#reading(stretch, destination)
    for (let from = wish.after + 1; from <= upTo; ) {
      const rows = await wholeCommits(lease, from, upTo)
      for (const row of rows) {
        const event = read(row)
        if (event) found.push(event)
      }
      const last = rows.at(-1)?.position
      if (last == null) return { events: found, upTo }
      if (found.length >= limit) return { events: found, upTo: last }
      from = last + 1
    }
    return { events: found, upTo }
  }

  async #newest(stretch: Stretch, destination: string, after: number): Promise<KeptEvent | undefined> {
    using lease = await this.#core.store.openRoom(stretch.roomId)
    const read = await this.#reading(stretch, destination)
    for (let to = stretch.lastPosition + 1; to > after + 1; ) {
      const rows = await lease.range(events, {
        index: 'position',
        from: after + 1,
        to,
        direction: 'backward',
        limit: ROWS_PER_READ,
      })
      const first = rows.at(-1)?.position
      const isAll = rows.length < ROWS_PER_READ || first == null
      const cutInTwo = isAll ? [] : await lease.range(events, { index: 'position', from: first, to: first + 1 })
      // Of one commit, the last one is what builds on the others.
      const newest = [...rows, ...cutInTwo]
        .flatMap((row) => read(row) ?? [])
        .sort(byPosition)
        .at(-1)
      if (newest || isAll) return newest
      to = first
    }
    return undefined
  }

  /** @returns what makes of a row the event that is owed, if it is */
  async #reading({ roomId, since, until }: Stretch, destination: string) {
    const core = this.#core
    const room = await core.store.home.get(roomIndex, roomId)
    return (row: EventRow): KeptEvent | undefined => {
      if (!room || row.order <= since || (until !== undefined && row.order > until)) return undefined
      const event = new KeptEvent(readEvent({ roomId, rules: getRoomVersion(room.version) }, row).facts)
      return isOwed(core, event) && serverNameOf(event.pdu.sender) !== destination ? event : undefined
    }
  }
}

/** Rows of the timeline from a stream position on, oldest first, with no commit cut in two. */
async function wholeCommits(lease: RoomLease, from: number, upTo: number): Promise<readonly EventRow[]> {
  const to = upTo + 1
  const rows = await lease.range(events, { index: 'position', from, to, limit: ROWS_PER_READ })
  const last = rows.at(-1)?.position
  if (rows.length < ROWS_PER_READ || last == null) return rows
  const ofLast = await lease.range(events, { index: 'position', from: last, to: last + 1 })
  return [...rows.filter(({ position }) => position !== last), ...ofLast]
}

const byPosition = (a: OwedPdu, b: OwedPdu): number =>
  a.position - b.position || ((a as KeptEvent).order ?? 0) - ((b as KeptEvent).order ?? 0)

/** The first ones, and none from after `upTo`; more than the limit only where one commit brought more. */
function cut(picks: readonly OwedPdu[], upTo: number, limit: number): { picks: OwedPdu[]; upTo: number } {
  const sorted = picks.filter(({ position }) => position <= upTo).sort(byPosition)
  const last = sorted[limit - 1]
  if (!last || sorted.length === limit) return { picks: sorted, upTo }
  const kept = sorted.filter(({ position }) => position <= last.position)
  return { picks: kept, upTo: kept.length < sorted.length ? last.position : upTo }
}
