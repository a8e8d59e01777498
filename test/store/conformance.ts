/** What the contract promises, for any engine. */
import { describe, expect, it } from 'vitest'
import { collection, orderKey, put, type Row, remove, type Store } from '../../server/store/index.ts'

type Person = { id: string; age: number | null; town: string | null; isAdmin: boolean }
type TimelineRow = { n: number; eventId: string; json: string; by: string | null }

const people = collection<Person>({ name: 'people', place: 'home', key: 'id', indexes: ['age', 'town'] })
const numbers = collection<{ n: number; text: string }>({ name: 'numbers', place: 'home', key: 'n', indexes: [] })
const members = collection<{ userId: string; membership: string }>({
  name: 'members',
  place: 'room',
  key: 'userId',
  indexes: ['membership'],
})
const timeline = collection<TimelineRow>({
  name: 'timeline',
  place: 'room',
  key: 'n',
  indexes: ['eventId', 'by'],
  segmented: true,
})

const person = (id: string, age: number | null = null, town: string | null = null): Person => ({
  id,
  age,
  town,
  isAdmin: false,
})
const event = (n: number, by: string | null = null): TimelineRow => ({ n, eventId: `$e${n}`, json: `{"n":${n}}`, by })

export interface Engine {
  readonly name: string
  open(): Promise<Store>
  /** What may go on beside the requests is brought to its end; for an engine that has nothing such: nothing. */
  settle(store: Store): Promise<void>
}

export function describeEngine(engine: Engine): void {
  async function opened(): Promise<Store> {
    return await engine.open()
  }

  describe(`store contract, ${engine.name}: get`, () => {
    it('finds a row by its key, and nothing under another', async () => {
      await using store = await opened()
      await store.commit(() => [put(people, person('alice', 30, 'Oslo'))])
      expect(await store.home.get(people, 'alice')).toEqual(person('alice', 30, 'Oslo'))
      expect(await store.home.get(people, 'bob')).toBeUndefined()
      expect(await store.home.get(people, 'Alice')).toBeUndefined()
    })

    it('replaces the whole row', async () => {
      await using store = await opened()
      await store.commit(() => [put(people, person('alice', 30, 'Oslo'))])
      await store.commit(() => [put(people, person('alice', null, 'Bergen'))])
      expect(await store.home.get(people, 'alice')).toEqual(person('alice', null, 'Bergen'))
      expect(await store.home.range(people, { index: 'age' })).toEqual([])
      expect(await store.home.range(people, { index: 'town' })).toHaveLength(1)
    })

    it('removes a row, and removing one that is not there is no error', async () => {
      await using store = await opened()
      await store.commit(() => [put(people, person('alice', 30))])
      await store.commit(() => [remove(people, 'alice'), remove(people, 'nobody')])
      expect(await store.home.get(people, 'alice')).toBeUndefined()
      expect(await store.home.range(people, { index: 'age' })).toEqual([])
      expect(await store.home.count(people)).toBe(0)
    })

    it('tells number keys from text keys', async () => {
      await using store = await opened()
      await store.commit(() => [put(numbers, { n: 1, text: 'one' })])
      expect(await store.home.get(numbers, '1')).toBeUndefined()
      expect(await store.home.get(numbers, 1)).toEqual({ n: 1, text: 'one' })
    })

    it('gives rows that nobody can change', async () => {
      await using store = await opened()
      const mine: Person = person('alice', 30)
      await store.commit(() => [put(people, mine)])
      mine.age = 31
      const found = (await store.home.get(people, 'alice')) as Person
      expect(found.age).toBe(30)
      expect(() => {
        found.age = 32
      }).toThrow(TypeError)
    })
  })

  describe(`store contract, ${engine.name}: values`, () => {
    const texts = [
      '',
      'line\u2028and\u2029and\u0085end',
      '{"__proto__":{"a":1}}',
      '{"$$date":5}',
      'high \ud800 alone',
      '\udfff',
      '\ud83d\ude00',
      '\u0000\u0001\u001f\u007f',
      '"\\\n\r\t',
      '\ufeffbom',
      '['.repeat(5_000) + ']'.repeat(5_000),
      '{"m.mentions":{"$set":1}}',
      'x'.repeat(1024 * 1024),
    ]
    it('gives every text back as it was', async () => {
      await using store = await opened()
      await store.commit(() => texts.map((text, n) => put(numbers, { n, text })))
      await engine.settle(store)
      for (const [n, text] of texts.entries()) {
        const found = await store.home.get(numbers, n)
        expect(found?.text === text, JSON.stringify(text.slice(0, 40))).toBe(true)
      }
    })

    it('gives every number back as it was, and -0 as 0', async () => {
      await using store = await opened()
      const values = [0, 1, -1, 2 ** 53 - 1, 1 - 2 ** 53, 0.1, 1e300, 5e-324, -1.5]
      await store.commit(() => values.map((age, i) => put(people, person(`p${i}`, age))))
      await store.commit(() => [put(people, person('zero', -0))])
      for (const [i, age] of values.entries()) expect((await store.home.get(people, `p${i}`))?.age).toBe(age)
      expect(Object.is((await store.home.get(people, 'zero'))?.age, 0)).toBe(true)
    })

    it('takes any text as a key, also ones that objects have of their own', async () => {
      await using store = await opened()
      const keys = ['', '__proto__', 'constructor', 'toString', '$a', 'a.b', '_id', '\ud800', '\u2028']
      await store.commit(() => keys.map((id, i) => put(people, person(id, i))))
      expect(await store.home.count(people)).toBe(keys.length)
      for (const [i, id] of keys.entries()) expect((await store.home.get(people, id))?.age).toBe(i)
      const inOrder = (await store.home.range(people, { index: 'id' })).map((row) => row.id)
      expect(inOrder).toEqual([...keys].sort((a, b) => (a < b ? -1 : 1)))
    })

    it.each([
      ['NaN', Number.NaN],
      ['infinity', Number.POSITIVE_INFINITY],
      ['undefined', undefined],
      ['an object', {}],
      ['a list', [1]],
      ['a bigint', 5n],
    ])('refuses %s, and nothing of that commit happens', async (_, value) => {
      await using store = await opened()
      const bad = { ...person('bad'), age: value } as unknown as Person
      await expect(store.commit(() => [put(people, person('good')), put(people, bad)])).rejects.toThrow(TypeError)
      expect(await store.home.get(people, 'good')).toBeUndefined()
      expect(await store.commit(() => [])).toBe(1)
    })

    it('refuses keys that the collection cannot have', async () => {
      await using store = await opened()
      const wrong = [
        put(timeline, { ...event(1), n: 1.5 }, '!r'),
        put(timeline, { ...event(1), n: 2 ** 53 }, '!r'),
        put(people, { ...person('a'), id: null } as unknown as Person),
        put(people, { ...person('a'), id: true } as unknown as Person),
        remove(people, Number.NaN),
      ]
      for (const op of wrong) await expect(store.commit(() => [op])).rejects.toThrow(TypeError)
    })

    it('refuses a room where none belongs, and none where one does', async () => {
      await using store = await opened()
      await expect(store.commit(() => [put(people, person('a'), '!r')])).rejects.toThrow(TypeError)
      await expect(store.commit(() => [put(members, { userId: 'a', membership: 'join' })])).rejects.toThrow(TypeError)
      await expect(store.home.get(members, 'a')).rejects.toThrow(TypeError)
      using room = await store.openRoom('!r')
      await expect(room.get(people, 'a')).rejects.toThrow(TypeError)
    })
  })

  describe(`store contract, ${engine.name}: range and count`, () => {
    const rows = [person('a', 5), person('b', 3, 'X'), person('c', 5, 'X'), person('d'), person('e', 1), person('f', 5)]

    async function filled(): Promise<Store> {
      const store = await opened()
      await store.commit(() => rows.toReversed().map((row) => put(people, row)))
      return store
    }
    const ids = (found: readonly Person[]): string => found.map((row) => row.id).join('')

    it('goes by value, and by key where the value is the same', async () => {
      await using store = await filled()
      expect(ids(await store.home.range(people, { index: 'age' }))).toBe('ebacf')
      expect(ids(await store.home.range(people, { index: 'age', direction: 'backward' }))).toBe('fcabe')
    })

    it('takes from inclusively and to exclusively', async () => {
      await using store = await filled()
      const range = async (from?: number, to?: number, limit?: number): Promise<string> =>
        ids(
          await store.home.range(people, {
            index: 'age',
            ...(from === undefined ? {} : { from }),
            ...(to === undefined ? {} : { to }),
            ...(limit === undefined ? {} : { limit }),
          }),
        )
      expect(await range(3, 5)).toBe('b')
      expect(await range(3)).toBe('bacf')
      expect(await range(undefined, 5)).toBe('eb')
      expect(await range(5, 5)).toBe('')
      expect(await range(9, 2)).toBe('')
      expect(await range(undefined, undefined, 3)).toBe('eba')
    })

    it('gives the last ones first when it goes backward, and of these as many as asked', async () => {
      await using store = await filled()
      expect(ids(await store.home.range(people, { index: 'age', direction: 'backward', limit: 2 }))).toBe('fc')
      expect(ids(await store.home.range(people, { index: 'age', direction: 'backward', to: 5, limit: 1 }))).toBe('b')
      expect(ids(await store.home.range(people, { index: 'id', direction: 'backward', from: 'c', to: 'e' }))).toBe('dc')
    })

    it('leaves rows without a value out of that index alone', async () => {
      await using store = await filled()
      expect(ids(await store.home.range(people, { index: 'town' }))).toBe('bc')
      expect(ids(await store.home.range(people, { index: 'id' }))).toBe('abcdef')
    })

    it('counts all, and within a range', async () => {
      await using store = await filled()
      expect(await store.home.count(people)).toBe(6)
      expect(await store.home.count(people, { index: 'age' })).toBe(5)
      expect(await store.home.count(people, { index: 'age', from: 2, to: 5 })).toBe(1)
      expect(await store.home.count(people, { index: 'id', from: 'b', to: 'd' })).toBe(2)
    })

    it('compares texts by code unit and composed values by prefix, then number', async () => {
      await using store = await opened()
      const keys = [orderKey('a', 10), orderKey('a', 9), orderKey('ab', 1), orderKey('a', 1000), 'a', 'Z', 'ä']
      await store.commit(() => keys.map((id) => put(people, person(id))))
      const sorted = (await store.home.range(people, { index: 'id' })).map((row) => row.id)
      expect(sorted).toEqual(['Z', 'a', orderKey('a', 9), orderKey('a', 10), orderKey('a', 1000), keys[2], 'ä'])
      const ofA = await store.home.range(people, { index: 'id', from: orderKey('a', 0), to: 'a\u0001' })
      expect(ofA.map((row) => row.id)).toEqual([keys[1], keys[0], keys[3]])
    })

    it('follows every change of an indexed field', async () => {
      await using store = await filled()
      await store.home.range(people, { index: 'town' })
      await store.commit(() => [
        put(people, person('b', 3, 'A')),
        put(people, person('c', 5)),
        put(people, person('a', 5, 'X')),
      ])
      expect(ids(await store.home.range(people, { index: 'town' }))).toBe('ba')
      expect(await store.home.count(people, { index: 'town', from: 'X' })).toBe(1)
    })

    it('keeps many rows of the same value in the order of their keys', async () => {
      await using store = await opened()
      const names = Array.from({ length: 3_000 }, (_, i) => `p${String((i * 7_919) % 3_000).padStart(4, '0')}`)
      await store.commit(() => names.map((id) => put(people, person(id, 7))))
      await store.commit(() => names.filter((_, i) => i % 3 === 0).map((id) => remove(people, id)))
      const left = names.filter((_, i) => i % 3 !== 0).sort()
      expect((await store.home.range(people, { index: 'age' })).map((row) => row.id)).toEqual(left)
      const last = await store.home.range(people, { index: 'age', direction: 'backward', limit: 2 })
      expect(last.map((row) => row.id)).toEqual(left.slice(-2).reverse())
    })

    it('refuses an index that was not declared, and a limit below 1', async () => {
      await using store = await filled()
      await expect(store.home.range(people, { index: 'isAdmin' })).rejects.toThrow(/no index/)
      await expect(store.home.count(people, { index: 'shoe' })).rejects.toThrow(/no index/)
      for (const limit of [0, -1, 1.5]) {
        await expect(store.home.range(people, { index: 'id', limit })).rejects.toThrow(/limit/)
      }
    })
  })

  describe(`store contract, ${engine.name}: commit`, () => {
    it('gives positions that grow by one, from 1 on, also for an empty list', async () => {
      await using store = await opened()
      expect(store.position).toBe(0)
      const given = await Promise.all([1, 2, 3].map(() => store.commit(() => [])))
      expect(given).toEqual([1, 2, 3])
      expect(store.position).toBe(3)
    })

    it('tells build the position, at once', async () => {
      await using store = await opened()
      let told = 0
      const done = store.commit((position) => {
        told = position
        return [put(numbers, { n: position, text: 'mine' })]
      })
      expect(told).toBe(1)
      expect(await done).toBe(1)
      expect(await store.home.get(numbers, 1)).toEqual({ n: 1, text: 'mine' })
    })

    it('shows nothing of a commit before it is resolved, and then all of it', async () => {
      await using store = await opened()
      using room = await store.openRoom('!r')
      const done = store.commit(() => [
        put(people, person('a')),
        put(members, { userId: 'a', membership: 'join' }, '!r'),
      ])
      const early = [store.position, await store.home.count(people)]
      if (early[1] === 0) expect(early).toEqual([0, 0])
      await done
      expect(await store.home.count(people)).toBe(1)
      expect(await room.count(members)).toBe(1)
    })

    it('applies changes of one commit in their order', async () => {
      await using store = await opened()
      await store.commit(() => [
        put(people, person('a', 1)),
        remove(people, 'a'),
        put(people, person('b', 1)),
        put(people, person('b', 2)),
      ])
      expect(await store.home.get(people, 'a')).toBeUndefined()
      expect((await store.home.get(people, 'b'))?.age).toBe(2)
    })

    it('takes no position when build throws', async () => {
      await using store = await opened()
      const fault = new Error('no')
      await expect(
        store.commit(() => {
          throw fault
        }),
      ).rejects.toBe(fault)
      expect(await store.commit(() => [])).toBe(1)
    })

    it('refuses a commit within the building of another', async () => {
      await using store = await opened()
      let inner: Promise<unknown> = Promise.resolve()
      await store.commit(() => {
        inner = store.commit(() => [])
        inner.catch(() => undefined)
        return []
      })
      await expect(inner).rejects.toThrow(/within another/)
      expect(store.position).toBe(1)
    })

    it('shows commits in their order to one who reads while they come', async () => {
      await using store = await opened()
      using room = await store.openRoom('!r')
      const all = Array.from({ length: 200 }, (_, i) =>
        store.commit((n) => [
          put(numbers, { n, text: 'x' }),
          put(members, { userId: `u${i}`, membership: 'join' }, '!r'),
        ]),
      )
      let previous = 0
      while (store.position < 200) {
        const before = store.position
        const count = await store.home.count(numbers)
        expect(count).toBeGreaterThanOrEqual(before)
        expect(count).toBeGreaterThanOrEqual(previous)
        expect(await room.count(members)).toBeGreaterThanOrEqual(count)
        previous = count
        await new Promise((resolve) => setImmediate(resolve))
      }
      await Promise.all(all)
    })

    it('refuses two declarations of one name that differ', async () => {
      await using store = await opened()
      const other = collection<Person>({
        name: 'people',
        place: 'home',
        key: 'id',
        indexes: ['age', 'town'],
        segmented: true,
      })
      await store.commit(() => [put(people, person('a'))])
      await expect(store.home.get(other, 1)).rejects.toThrow(/declared twice/)
    })
  })

  describe(`store contract, ${engine.name}: rooms`, () => {
    it('keeps rooms apart, also where IDs differ only in case', async () => {
      await using store = await opened()
      const ids = ['!a:x', '!A:x', '../../!a', '!'.repeat(300), '\u0000', '!a:x ']
      for (const id of ids) await store.commit(() => [put(members, { userId: id, membership: 'join' }, id)])
      for (const id of ids) {
        using room = await store.openRoom(id)
        expect(room.roomId).toBe(id)
        expect(await room.range(members, { index: 'userId' })).toEqual([{ userId: id, membership: 'join' }])
      }
      await expect(store.openRoom('')).rejects.toThrow(TypeError)
    })

    it('opens a new room empty', async () => {
      await using store = await opened()
      using room = await store.openRoom('!new')
      expect(await room.count(members)).toBe(0)
      expect(await room.range(timeline, { index: 'n' })).toEqual([])
    })

    it('shows a lease what is committed while it is held', async () => {
      await using store = await opened()
      using room = await store.openRoom('!r')
      await store.commit(() => [put(members, { userId: 'a', membership: 'join' }, '!r')])
      expect(await room.get(members, 'a')).toEqual({ userId: 'a', membership: 'join' })
    })

    it('refuses to read through a lease that was given back', async () => {
      await using store = await opened()
      const room = await store.openRoom('!r')
      room[Symbol.dispose]()
      room[Symbol.dispose]()
      await expect(room.get(members, 'a')).rejects.toThrow(/given back/)
    })

    it('ends a room with all its rows, and lets it begin anew in the same commit or later', async () => {
      await using store = await opened()
      using room = await store.openRoom('!r')
      const fill = Array.from({ length: 30 }, (_, n) => put(timeline, event(n), '!r'))
      await store.commit(() => [...fill, put(members, { userId: 'a', membership: 'join' }, '!r')])
      await engine.settle(store)
      await store.commit(() => [{ op: 'dropRoom', roomId: '!r' }])
      expect(await room.count(timeline)).toBe(0)
      expect(await room.range(timeline, { index: 'eventId' })).toEqual([])
      expect(await room.get(members, 'a')).toBeUndefined()
      await engine.settle(store)
      await store.commit(() => [
        put(members, { userId: 'b', membership: 'join' }, '!r'),
        { op: 'dropRoom', roomId: '!r' },
        put(members, { userId: 'c', membership: 'join' }, '!r'),
      ])
      await engine.settle(store)
      expect(await room.range(members, { index: 'userId' })).toEqual([{ userId: 'c', membership: 'join' }])
      await store.commit(() => [{ op: 'dropRoom', roomId: '!never' }])
    })
  })

  describe(`store contract, ${engine.name}: segmented collections`, () => {
    async function filled(keys: readonly number[]): Promise<Store> {
      const store = await opened()
      for (let i = 0; i < keys.length; i += 25) {
        await store.commit(() =>
          keys.slice(i, i + 25).map((n) => put(timeline, event(n, n % 3 ? null : `by${n % 2}`), '!r')),
        )
      }
      await engine.settle(store)
      return store
    }
    const keysFrom = (first: number, count: number): number[] => Array.from({ length: count }, (_, i) => first + i)
    const ns = (rows: readonly Row[]): unknown[] => rows.map((row) => row.n)

    it('reads rows of any age by key and by index', async () => {
      await using store = await filled(keysFrom(1, 150))
      using room = await store.openRoom('!r')
      for (const n of [1, 15, 16, 17, 77, 149, 150]) {
        expect(await room.get(timeline, n)).toEqual(event(n, n % 3 ? null : `by${n % 2}`))
        const id = `$e${n}`
        const found = await room.range(timeline, { index: 'eventId', from: id, to: `${id}\u0000`, limit: 1 })
        expect(ns(found)).toEqual([n])
      }
      expect(await room.get(timeline, 0)).toBeUndefined()
      expect(await room.get(timeline, 151)).toBeUndefined()
      expect(await room.range(timeline, { index: 'eventId', from: '$e0', to: '$e0\u0000' })).toEqual([])
      expect(await room.count(timeline)).toBe(150)
    })

    it('ranges over keys forward and backward, across what is sealed and what is not', async () => {
      await using store = await filled([...keysFrom(1, 100), ...keysFrom(-70, 71).reverse()])
      using room = await store.openRoom('!r')
      expect(ns(await room.range(timeline, { index: 'n' }))).toEqual(keysFrom(-70, 171))
      expect(ns(await room.range(timeline, { index: 'n', from: -40, to: 40 }))).toEqual(keysFrom(-40, 80))
      const backward = { index: 'n', direction: 'backward' } as const
      expect(ns(await room.range(timeline, { ...backward, to: 50, limit: 60 }))).toEqual(keysFrom(-10, 60).reverse())
      expect(ns(await room.range(timeline, { ...backward, limit: 3 }))).toEqual([100, 99, 98])
      expect(ns(await room.range(timeline, { index: 'n', limit: 2 }))).toEqual([-70, -69])
      expect(await room.count(timeline, { index: 'n', from: -3, to: 90 })).toBe(93)
    })

    it('ranges over an index across what is sealed and what is not', async () => {
      await using store = await filled(keysFrom(0, 120))
      using room = await store.openRoom('!r')
      const wanted = keysFrom(0, 120).filter((n) => n % 3 === 0)
      const even = wanted.filter((n) => n % 2 === 0)
      const odd = wanted.filter((n) => n % 2 === 1)
      expect(ns(await room.range(timeline, { index: 'by' }))).toEqual([...even, ...odd])
      expect(ns(await room.range(timeline, { index: 'by', direction: 'backward' }))).toEqual(
        [...even, ...odd].reverse(),
      )
      expect(ns(await room.range(timeline, { index: 'by', from: 'by1', limit: 3 }))).toEqual(odd.slice(0, 3))
      expect(await room.count(timeline, { index: 'by' })).toBe(40)
      expect(await room.count(timeline, { index: 'by', from: 'by1', to: 'by2' })).toBe(20)
    })

    it('shows later changes and removals of old rows', async () => {
      await using store = await filled(keysFrom(0, 120))
      using room = await store.openRoom('!r')
      const edited = (n: number): TimelineRow => ({ ...event(n, n % 3 ? null : `by${n % 2}`), json: '{}' })
      for (const round of [0, 1]) {
        await store.commit(() => [
          put(timeline, edited(5), '!r'),
          put(timeline, edited(6), '!r'),
          remove(timeline, 9, '!r'),
        ])
        if (round === 1) await engine.settle(store)
        expect(await room.get(timeline, 5)).toEqual(edited(5))
        expect(await room.get(timeline, 9)).toBeUndefined()
        expect(await room.count(timeline)).toBe(119)
        expect(await room.count(timeline, { index: 'n', from: 4, to: 12 })).toBe(7)
        expect(await room.range(timeline, { index: 'n', from: 4, to: 12, limit: 3 })).toEqual([
          event(4),
          edited(5),
          edited(6),
        ])
        expect(ns(await room.range(timeline, { index: 'n', from: 8, to: 11 }))).toEqual([8, 10])
        expect(ns(await room.range(timeline, { index: 'by', from: 'by1', limit: 2 }))).toEqual([3, 15])
        expect(await room.count(timeline, { index: 'by' })).toBe(39)
        expect(await room.range(timeline, { index: 'eventId', from: '$e6', to: '$e6\u0000' })).toEqual([edited(6)])
      }
      await store.commit(() => [put(timeline, event(9), '!r')])
      expect(await room.get(timeline, 9)).toEqual(event(9))
      expect(await room.count(timeline)).toBe(120)
    })

    it('removes whole stretches', async () => {
      await using store = await filled(keysFrom(0, 100))
      using room = await store.openRoom('!r')
      await store.commit(() => keysFrom(0, 60).map((n) => remove(timeline, n, '!r')))
      await engine.settle(store)
      expect(ns(await room.range(timeline, { index: 'n' }))).toEqual(keysFrom(60, 40))
      expect(ns(await room.range(timeline, { index: 'by', limit: 2 }))).toEqual([60, 66])
      expect(await room.count(timeline)).toBe(40)
      expect(await room.get(timeline, 30)).toBeUndefined()
    })
  })

  describe(`store contract, ${engine.name}: exclusive`, () => {
    it('runs works of one key one after the other, and of others side by side', async () => {
      await using store = await opened()
      const log: string[] = []
      let open: () => void = () => {}
      const gate = new Promise<void>((resolve) => {
        open = resolve
      })
      const first = store.exclusive('a', async () => {
        await gate
        log.push('first')
      })
      const second = store.exclusive('a', async () => void log.push('second'))
      await store.exclusive('b', async () => void log.push('other'))
      open()
      await Promise.all([first, second])
      expect(log).toEqual(['other', 'first', 'second'])
    })

    it('goes on after a work that threw, and passes on results and errors', async () => {
      await using store = await opened()
      const failed = store.exclusive('a', async () => {
        throw new Error('mine')
      })
      const next = store.exclusive('a', async () => 5)
      await expect(failed).rejects.toThrow('mine')
      expect(await next).toBe(5)
    })
  })

  describe(`store contract, ${engine.name}: end`, () => {
    it('refuses everything afterwards', async () => {
      const store = await opened()
      const room = await store.openRoom('!r')
      await store[Symbol.asyncDispose]()
      await store[Symbol.asyncDispose]()
      await expect(store.commit(() => [])).rejects.toThrow(/closed/)
      await expect(store.home.count(people)).rejects.toThrow(/closed/)
      await expect(store.openRoom('!r')).rejects.toThrow(/closed/)
      await expect(room.count(members)).rejects.toThrow(/closed/)
    })
  })
}
