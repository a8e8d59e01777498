/** Random commits over all kinds of collections, and what a store must hold after them. */
import { expect } from 'vitest'
import {
  type Collection,
  collection,
  type Op,
  orderKey,
  put,
  type Reader,
  type Row,
  remove,
  type Store,
} from '../../server/store/index.ts'
import { openMemoryStore } from '../support/memory-store.ts'
import type { Seeded } from '../support/seeded.ts'

const accounts = collection<{ id: string; town: string | null; age: number | null; text: string }>({
  name: 'accounts',
  place: 'home',
  key: 'id',
  indexes: ['town', 'age'],
})
const log = collection<{ n: number; kind: string }>({
  name: 'log',
  place: 'home',
  key: 'n',
  indexes: ['kind'],
  segmented: true,
})
export const members = collection<{ id: string; membership: string }>({
  name: 'members',
  place: 'room',
  key: 'id',
  indexes: ['membership'],
})
export const events = collection<{ n: number; eventId: string; thread: string | null; json: string }>({
  name: 'events',
  place: 'room',
  key: 'n',
  indexes: ['eventId', 'thread'],
  segmented: true,
})

export const rooms = ['!one', '!two', '!three']
const texts = ['', 'a', '\u2028', '\ud800', '__proto__', 'long '.repeat(40), '"\\\n']

/** Makes the operations of one commit; remembers which keys rooms have, so that timelines stay dense. */
export class RandomCommits {
  readonly #random: Seeded
  readonly #ends = new Map<string, { low: number; high: number }>()
  #logged = 0

  constructor(random: Seeded) {
    this.#random = random
  }

  next(): readonly Op[] {
    const random = this.#random
    const ops: Op[] = []
    for (let i = random.between(0, 6); i > 0; i--) ops.push(...this.#some())
    return ops
  }

  #some(): readonly Op[] {
    const random = this.#random
    const roomId = random.pick(rooms)
    const kind = random.next()
    if (kind < 0.2) return [this.#account()]
    if (kind < 0.25) return [remove(accounts, `u${random.between(0, 40)}`)]
    if (kind < 0.35) return [put(log, { n: this.#logged++, kind: random.pick(['a', 'b']) })]
    if (kind < 0.45)
      return [put(members, { id: `u${random.between(0, 30)}`, membership: random.pick(['join', 'leave']) }, roomId)]
    if (kind < 0.5) return [remove(members, `u${random.between(0, 30)}`, roomId)]
    if (kind < 0.92) return this.#grow(roomId)
    if (kind < 0.995) return [this.#change(roomId)]
    this.#ends.delete(roomId)
    return [{ op: 'dropRoom', roomId }]
  }

  #account(): Op {
    const random = this.#random
    return put(accounts, {
      id: `u${random.between(0, 40)}`,
      town: random.pick(['Oslo', 'Bergen', null]),
      age: random.pick([null, random.between(0, 5), 0.5]),
      text: random.pick(texts),
    })
  }

  #endsOf(roomId: string): { low: number; high: number } {
    const ends = this.#ends.get(roomId) ?? { low: 1, high: 1 }
    this.#ends.set(roomId, ends)
    return ends
  }

  #grow(roomId: string): readonly Op[] {
    const ends = this.#endsOf(roomId)
    const isBackfill = this.#random.chance(0.25)
    return Array.from({ length: this.#random.between(1, 5) }, () =>
      this.#event(isBackfill ? --ends.low : ends.high++, roomId),
    )
  }

  #change(roomId: string): Op {
    const { low, high } = this.#endsOf(roomId)
    const n = this.#random.between(low, Math.max(high, low + 1))
    if (n >= high) return remove(events, n, roomId)
    return this.#random.chance(0.3) ? remove(events, n, roomId) : this.#event(n, roomId)
  }

  #event(n: number, roomId: string): Op {
    const thread = n % 4 === 0 ? orderKey(`$t${n % 3}`, n + 10_000) : null
    return put(events, { n, eventId: `$${roomId}${n}`, thread, json: JSON.stringify(this.#random.pick(texts)) }, roomId)
  }
}

/** The commits so far, as a store in memory has them. */
export async function modelOf(commits: readonly (readonly Op[])[]): Promise<Store> {
  const model = openMemoryStore()
  await Promise.all(commits.map((ops) => model.commit(() => ops)))
  return model
}

/** Asserts that both hold the same, however they are asked. */
export async function expectSame(store: Store, model: Store, random: Seeded, why: string): Promise<void> {
  expect(store.position, why).toBe(model.position)
  await compare(store.home, model.home, { collections: [accounts, log], random, why })
  for (const roomId of rooms) {
    using mine = await store.openRoom(roomId)
    using theirs = await model.openRoom(roomId)
    await compare(mine, theirs, { collections: [members, events], random, why: `${why} in ${roomId}` })
  }
}

interface Comparison {
  readonly collections: readonly Collection[]
  readonly random: Seeded
  readonly why: string
}

async function compare(mine: Reader, theirs: Reader, { collections, random, why }: Comparison): Promise<void> {
  for (const asked of collections) {
    const hint = `${why}: ${asked.name}`
    expect(await mine.count(asked), hint).toBe(await theirs.count(asked))
    const all = await theirs.range(asked, { index: asked.key })
    for (const index of [asked.key, ...asked.indexes]) {
      for (const range of [
        { index },
        { index, ...someBounds(all, index, random) },
        { index, ...someBounds(all, index, random) },
      ]) {
        const expected = await theirs.range(asked, range)
        expect(await mine.range(asked, range), `${hint} ${JSON.stringify(range)}`).toEqual(expected)
      }
      const { from, to } = someBounds(all, index, random)
      const within = { index, ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) }
      expect(await mine.count(asked, within), `${hint} ${JSON.stringify(within)}`).toBe(
        await theirs.count(asked, within),
      )
    }
    for (let i = 0; i < 5; i++) {
      const key = all.length > 0 ? (random.pick(all)[asked.key] as string | number) : 1
      expect(await mine.get(asked, key), hint).toEqual(await theirs.get(asked, key))
    }
  }
}

interface Bounds {
  from?: string | number
  to?: string | number
  limit?: number
  direction?: 'forward' | 'backward'
}

function someBounds(rows: readonly Row[], index: string, random: Seeded): Bounds {
  const values = rows.map((row) => row[index]).filter((value) => typeof value === 'string' || typeof value === 'number')
  const bounds: Bounds = { direction: random.pick(['forward', 'backward']) }
  if (random.chance(0.5)) bounds.limit = random.between(1, 12)
  if (values.length === 0) return bounds
  if (random.chance(0.7)) bounds.from = random.pick(values)
  const isPoint = random.chance(0.3) && typeof bounds.from === 'string'
  if (isPoint) bounds.to = `${bounds.from}\u0000`
  else if (random.chance(0.7)) bounds.to = random.pick(values)
  return bounds
}
