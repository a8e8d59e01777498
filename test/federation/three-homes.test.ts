/** Three homes cut apart, all of which go on; joined again in every order. By the client API, over real TLS, with real queues. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type Home, type Homes, startHomes } from '../support/homes.ts'
import { allState, history, newRoom, roomPath, send, setState } from '../support/room-calls.ts'
import type { Person } from '../support/test-server.ts'

const TEST_MS = 120_000
const POLL = { timeout: 20_000, interval: 100 } as const
const PAIRS = [
  ['alpha.test', 'beta.test'],
  ['beta.test', 'gamma.test'],
  ['alpha.test', 'gamma.test'],
] as const
type Pair = (typeof PAIRS)[number]

let homes: Homes
let alpha: Home
let beta: Home
let gamma: Home
/** In the order of their homes; alice made the rooms, bob and carol moderate. */
let alice: Person
let bob: Person
let carol: Person
let dora: Person
let emil: Person
beforeAll(async () => {
  homes = await startHomes(['alpha.test', 'beta.test', 'gamma.test'])
  alpha = homes.get('alpha.test')
  beta = homes.get('beta.test')
  gamma = homes.get('gamma.test')
  alice = await alpha.register('alice')
  bob = await beta.register('bob')
  carol = await gamma.register('carol')
  dora = await alpha.register('dora')
  emil = await beta.register('emil')
})
afterEach(() => homes.healAll())
afterAll(() => homes[Symbol.asyncDispose]())

/** A person whose home may have been restarted since. */
const now = (home: Home, person: Person): Person => ({ ...person, api: home.api(person.accessToken) })
const everybody = (): readonly Person[] => [now(alpha, alice), now(beta, bob), now(gamma, carol)]

async function must(reply: Promise<{ status: number; body: unknown }>): Promise<void> {
  const { status, body } = await reply
  expect([status, body]).toEqual([200, expect.anything()])
}
const join = (person: Person, roomId: string) =>
  must(person.api.post(`/_matrix/client/v3/join/${encodeURIComponent(roomId)}?via=alpha.test&via=beta.test`, {}))
const act = (by: Person, roomId: string, action: string, userId?: string) =>
  must(by.api.post(roomPath(roomId, `/${action}`), userId === undefined ? {} : { user_id: userId }))

const stateOf = async (person: Person, roomId: string): Promise<string> =>
  (await allState(person, roomId))
    .map(({ event_id }) => event_id)
    .sort()
    .join()

/** Bodies of what somebody sees of what was said, by who said it, in the order in which it is seen. */
async function heardBy(person: Person, roomId: string): Promise<Readonly<Record<string, readonly unknown[]>>> {
  const heard: Record<string, unknown[]> = {}
  for (const { type, sender, content } of await history(person, roomId)) {
    if (type !== 'm.room.message' || content.body === undefined || content.body === 'nudge') continue
    heard[sender] ??= []
    heard[sender].push(content.body)
  }
  return heard
}

async function meet(version: string): Promise<string> {
  const roomId = await newRoom(alice, { preset: 'public_chat', room_version: version })
  const path = roomPath(roomId, '/state/m.room.power_levels')
  const { body } = await alice.api.get<Record<string, unknown>>(path)
  const users = { ...(body.users as object), [bob.userId]: 50, [carol.userId]: 50 }
  await must(setState(alice, roomId, 'm.room.power_levels', { ...body, users }))
  for (const person of [bob, carol, emil]) await join(person, roomId)
  await agree(roomId)
  return roomId
}

/** Waits until all have the same state; each has something to say now and then. */
async function agree(roomId: string): Promise<void> {
  await expect
    .poll(async () => new Set(await Promise.all(everybody().map((person) => stateOf(person, roomId)))).size, POLL)
    .toBe(1)
}

/** All change the room, each for itself. @returns what was said, by who said it */
async function liveApart(roomId: string): Promise<Readonly<Record<string, readonly string[]>>> {
  const said: Record<string, string[]> = {}
  const say = async (person: Person, body: string): Promise<string> => {
    said[person.userId] = [...(said[person.userId] ?? []), body]
    return send(person, roomId, body)
  }
  for (const person of [alice, bob, carol]) {
    await say(person, `${person.userId} 1`)
    await must(setState(person, roomId, 'm.room.topic', { topic: `by ${person.userId}` }))
    await say(person, `${person.userId} 2`)
  }
  await join(dora, roomId)
  await say(dora, 'dora is here')
  await act(alice, roomId, 'ban', '@nobody:gamma.test')
  const levels = (await alice.api.get<Record<string, unknown>>(roomPath(roomId, '/state/m.room.power_levels'))).body
  await must(setState(alice, roomId, 'm.room.power_levels', { ...levels, events_default: 0, state_default: 40 }))
  await act(emil, roomId, 'leave')
  await must(setState(bob, roomId, 'm.room.name', { name: 'as bob calls it' }))
  await act(bob, roomId, 'ban', dora.userId)
  const unwise = await send(carol, roomId, 'unwise')
  await must(carol.api.put(roomPath(roomId, `/redact/${encodeURIComponent(unwise)}/r${roomId.slice(1, 6)}`), {}))
  await must(setState(carol, roomId, 'm.room.avatar', { url: 'mxc://gamma.test/picture' }))
  await must(setState(carol, roomId, 'm.room.join_rules', { join_rule: 'public', 'org.example.by': 'carol' }))
  for (const person of [alice, bob, carol]) await say(person, `${person.userId} 3`)
  return said
}

const cutAll = (): void => {
  for (const [one, other] of PAIRS) homes.cut(one, other)
}
const personAt = (name: string): Person =>
  everybody()[['alpha.test', 'beta.test', 'gamma.test'].indexOf(name)] as Person

/** Two speak to each other again, and know that they do. */
async function joinAgain([one, other]: Pair, roomId: string): Promise<void> {
  homes.heal(one, other)
  for (const [from, to] of [
    [one, other],
    [other, one],
  ] as const) {
    const eventId = await send(personAt(from), roomId, 'nudge')
    const path = roomPath(roomId, `/event/${encodeURIComponent(eventId)}`)
    await expect.poll(async () => (await personAt(to).api.get(path)).status, POLL).toBe(200)
  }
}

async function areOne(roomId: string, said: Readonly<Record<string, readonly string[]>>): Promise<void> {
  for (const person of everybody()) await send(person, roomId, 'nudge')
  await agree(roomId)
  for (const person of everybody()) {
    await expect.poll(async () => told(await heardBy(person, roomId), said), POLL).toEqual(said)
  }
  await agree(roomId)
  const levels = await alice.api.get(roomPath(roomId, '/state/m.room.power_levels'))
  expect(levels.body).toMatchObject({ users: { [bob.userId]: 50, [carol.userId]: 50 } })
  for (const home of [alpha, beta, gamma]) expect(home.faults).toEqual([])
}

/** Without what may be lost: the words of who was banned meanwhile are shown where they were taken in before. */
function told(
  heard: Readonly<Record<string, readonly unknown[]>>,
  said: Readonly<Record<string, readonly string[]>>,
): Readonly<Record<string, readonly unknown[]>> {
  return dora.userId in heard ? heard : { ...heard, [dora.userId]: said[dora.userId] ?? [] }
}

const orders = PAIRS.flatMap((first) =>
  PAIRS.filter((pair) => pair !== first).map((second) => {
    const third = PAIRS.find((pair) => pair !== first && pair !== second) as Pair
    return [first, second, third] as const
  }),
).map((pairs, i) => ({
  pairs,
  version: ['1', '6', '12'][i % 3] as string,
  what: pairs.map((pair) => pair.join('–')).join(', '),
}))

describe('three homes that were cut apart, and all changed a room', () => {
  it.each(orders)(
    'are one again when joined one after the other: $what (version $version)',
    async ({ pairs, version }) => {
      const roomId = await meet(version)
      cutAll()
      const said = await liveApart(roomId)
      for (const pair of pairs) await joinAgain(pair, roomId)
      await areOne(roomId, said)
    },
    TEST_MS,
  )

  it.each(['1', '6', '11', '12'])(
    'are one again when joined all at once (version %s)',
    async (version) => {
      const roomId = await meet(version)
      cutAll()
      const said = await liveApart(roomId)
      homes.healAll()
      await areOne(roomId, said)
    },
    TEST_MS,
  )

  it(
    'are one again when two of them were never joined directly',
    async () => {
      const roomId = await meet('11')
      cutAll()
      const said = await liveApart(roomId)
      await joinAgain(PAIRS[0], roomId)
      await joinAgain(PAIRS[1], roomId)
      await send(bob, roomId, 'nudge')
      await areOne(roomId, said)
      homes.healAll()
    },
    TEST_MS,
  )

  it(
    'are one again when the one in the middle was restarted before all had met',
    async () => {
      const roomId = await meet('12')
      cutAll()
      const said = await liveApart(roomId)
      await joinAgain(PAIRS[0], roomId)
      await beta.restart()
      bob = now(beta, bob)
      emil = now(beta, emil)
      await joinAgain(PAIRS[1], roomId)
      homes.healAll()
      await areOne(roomId, said)
    },
    TEST_MS,
  )
})

describe('homes that are never there at the same time', () => {
  it(
    'hear from the one that both meet what the other had said, in order',
    async () => {
      const roomId = await meet('11')
      homes.isolate(gamma)
      const said = ['first', 'second', 'third']
      for (const body of said) await send(alice, roomId, body)
      await must(setState(alice, roomId, 'm.room.topic', { topic: 'from far away' }))
      const topicAt = async (person: Person): Promise<unknown> =>
        (await person.api.get(roomPath(roomId, '/state/m.room.topic'))).body
      await expect.poll(async () => (await heardBy(bob, roomId))[alice.userId], POLL).toEqual(said)
      await expect.poll(() => topicAt(bob), POLL).toMatchObject({ topic: 'from far away' })
      homes.isolate(alpha)
      homes.heal(beta, gamma)
      await send(bob, roomId, 'alice has been here')
      await expect
        .poll(async () => heardBy(carol, roomId), POLL)
        .toEqual({ [alice.userId]: said, [bob.userId]: ['alice has been here'] })
      await expect.poll(() => topicAt(carol), POLL).toMatchObject({ topic: 'from far away' })
      homes.healAll()
    },
    TEST_MS,
  )
})
