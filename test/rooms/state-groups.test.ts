import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LayeredMap } from '../../server/rooms/layered-map.ts'
import { EMPTY_GROUP, StateGroups } from '../../server/rooms/state-groups.ts'
import { stateGroups } from '../../server/rooms/store.ts'
import { openMemoryStore } from '../support/memory-store.ts'

const ROOM = '!room:hearth.test'
const slot = fc.integer({ min: 0, max: 30 }).map((n) => `m.type\u0000${n}`)
const change = fc.tuple(slot, fc.option(fc.integer({ min: 0, max: 999 }).map((n) => `$${n}`)))

describe('state groups', () => {
  it('give back every state that was stored, from memory and from disk, in the order and forks in which they came', async () => {
    const step = fc.tuple(fc.nat(), fc.array(change, { minLength: 1, maxLength: 4 }))
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 150 }), async (steps) => {
        const store = openMemoryStore()
        using lease = await store.openRoom(ROOM)
        const groups = await StateGroups.open(lease, ROOM)
        const states = new Map<number, ReadonlyMap<string, string>>([[EMPTY_GROUP, new Map()]])
        for (const [parent, changes] of steps) {
          const ids = [...states.keys()]
          const prev = ids[ids.length - 1 - (parent % Math.min(3, ids.length))] as number
          const state = new Map(states.get(prev))
          for (const [key, eventId] of changes) {
            if (eventId === null) state.delete(key)
            else state.set(key, eventId)
          }
          const { id, op } = groups.add(prev, new Map(changes), state.size, () => state)
          await store.commit(() => [op])
          groups.settle([id])
          states.set(id, state)
        }
        const again = await StateGroups.open(lease, ROOM)
        for (const [id, state] of states) {
          expect(new Map(await groups.entriesOf(id))).toEqual(state)
          expect(new Map(await again.entriesOf(id))).toEqual(state)
          for (let n = 0; n < 3; n += 1) {
            const key = `m.type\u0000${n}`
            expect(await again.find(id, key)).toBe(state.get(key) ?? null)
          }
        }
      }),
      { numRuns: 30 },
    )
  })

  it('store a whole state only as often as the state has entries, so that a change costs the same in a large room', async () => {
    const store = openMemoryStore()
    using lease = await store.openRoom(ROOM)
    const groups = await StateGroups.open(lease, ROOM)
    const state = new Map<string, string>()
    let prev = EMPTY_GROUP
    for (let n = 0; n < 2_000; n += 1) {
      state.set(`m.room.member\u0000@u${n}`, `$${n}`)
      const { id, op } = groups.add(
        prev,
        new Map([[`m.room.member\u0000@u${n}`, `$${n}`]]),
        state.size,
        () => new Map(state),
      )
      await store.commit(() => [op])
      groups.settle([id])
      prev = id
    }
    const rows = await lease.range(stateGroups, { index: 'id' })
    const entries = rows.reduce((sum, row) => sum + (JSON.parse(row.entries) as unknown[]).length, 0)
    expect(entries).toBeLessThan(3 * 2_000)
    for (const row of rows) expect(row.deltas).toBeLessThanOrEqual(2_000)
  })

  it('use the IDs of groups again that were never written', async () => {
    const store = openMemoryStore()
    using lease = await store.openRoom(ROOM)
    const groups = await StateGroups.open(lease, ROOM)
    const add = (eventId: string) =>
      groups.add(EMPTY_GROUP, new Map([['a\u0000', eventId]]), 1, () => new Map([['a\u0000', eventId]]))
    const first = add('$lost')
    groups.dropStaged()
    const second = add('$kept')
    expect(second.id).toBe(first.id)
    await store.commit(() => [second.op])
    groups.settle([second.id])
    expect(await groups.find(second.id, 'a\u0000')).toBe('$kept')
  })
})

describe('layered maps', () => {
  it('are maps whose older copies never change', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(slot, fc.option(fc.nat())), { maxLength: 300 }), (changes) => {
        let layered = LayeredMap.from<number>(new Map())
        const plain = new Map<string, number>()
        const copies: [LayeredMap<number>, ReadonlyMap<string, number>][] = []
        for (const [key, value] of changes) {
          layered = layered.with(key, value ?? undefined)
          if (value === null) plain.delete(key)
          else plain.set(key, value)
          copies.push([layered, new Map(plain)])
        }
        for (const [copy, expected] of copies) {
          expect(new Map(copy.toMap())).toEqual(expected)
          expect(copy.size).toBe(expected.size)
          for (const key of expected.keys()) expect(copy.get(key)).toBe(expected.get(key))
        }
      }),
    )
  })
})
