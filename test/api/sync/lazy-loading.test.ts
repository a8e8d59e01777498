import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Person, startTestServer, type TestServer } from '../../support/test-server.ts'
import * as rig from '../../sync/rig.ts'

let server: TestServer
let alice: Person
let bob: Person
let carol: Person
let dan: Person

beforeAll(async () => {
  server = await startTestServer()
  alice = await server.register('alice')
  bob = await server.register('bob')
  carol = await server.register('carol')
  dan = await server.register('dan')
})
afterAll(() => server[Symbol.asyncDispose]())

const lazy = (more: Record<string, unknown> = {}, limit = 1): string =>
  rig.filterText({ room: { state: { lazy_load_members: true, ...more }, timeline: { limit } } })
const membersOf = (room: rig.JoinedRoom): readonly (string | undefined)[] =>
  rig.membersIn(room.state?.events ?? []).toSorted()

async function roomOfFour(): Promise<string> {
  const roomId = await rig.createRoom(alice, { name: 'Named, so that nobody is a hero' })
  for (const person of [bob, carol, dan]) await rig.join(person, roomId)
  return roomId
}

describe('client-server-api §Lazy-loading room members', () => {
  it('gives only the members that the timeline needs, and the user', async () => {
    const roomId = await roomOfFour()
    await rig.say(bob, roomId, 'hi')
    const room = rig.mustJoined(await rig.sync(alice, { filter: lazy() }), roomId)
    expect(membersOf(room)).toEqual([alice.userId, bob.userId])
    expect(room.state?.events.map(({ type }) => type)).toContain('m.room.create')
  })

  it('gives the user’s own membership when they join a room, and with the full state', async () => {
    const roomId = await roomOfFour()
    for (let i = 0; i < 3; i += 1) await rig.say(bob, roomId, 'before')
    const erin = await server.register('newcomer')
    const { next_batch: since } = await rig.sync(erin, { filter: lazy() })
    await rig.join(erin, roomId)
    for (let i = 0; i < 3; i += 1) await rig.say(bob, roomId, 'after')
    const joined = await rig.sync(erin, { since, filter: lazy() })
    expect(membersOf(rig.mustJoined(joined, roomId))).toContain(erin.userId)
    await rig.say(bob, roomId, 'once more')
    const next = await rig.sync(erin, { since: joined.next_batch, filter: lazy() })
    expect(membersOf(rig.mustJoined(next, roomId))).not.toContain(erin.userId)
    const full = await rig.sync(erin, { since: next.next_batch, filter: lazy(), full_state: true })
    expect(membersOf(rig.mustJoined(full, roomId))).toContain(erin.userId)
  })

  it('gives the heroes of a room without a name', async () => {
    const roomId = await rig.createRoom(alice)
    await rig.join(bob, roomId)
    await rig.say(alice, roomId, 'hi')
    expect(membersOf(rig.mustJoined(await rig.sync(alice, { filter: lazy() }), roomId))).toEqual([
      alice.userId,
      bob.userId,
    ])
  })

  it('does not send a member again that the client has got', async () => {
    const roomId = await roomOfFour()
    await rig.say(bob, roomId, 'one')
    const first = await rig.sync(alice, { filter: lazy() })
    await rig.say(bob, roomId, 'two')
    const second = await rig.sync(alice, { filter: lazy(), since: first.next_batch })
    expect(membersOf(rig.mustJoined(second, roomId))).toEqual([])
    await rig.say(carol, roomId, 'three')
    const third = await rig.sync(alice, { filter: lazy(), since: second.next_batch })
    expect(membersOf(rig.mustJoined(third, roomId))).toEqual([carol.userId])
  })

  it('sends it again where the answer that held it was lost', async () => {
    const roomId = await roomOfFour()
    const { next_batch: since } = await rig.sync(alice, { filter: lazy() })
    await rig.say(carol, roomId, 'hi')
    for (const _ of ['lost', 'got']) {
      const room = rig.mustJoined(await rig.sync(alice, { filter: lazy(), since }), roomId)
      expect(membersOf(room)).toEqual([carol.userId])
    }
  })

  it('sends it again to another device, and with include_redundant_members', async () => {
    const roomId = await roomOfFour()
    await rig.say(bob, roomId, 'one')
    const redundant = lazy({ include_redundant_members: true })
    const first = await rig.sync(alice, { filter: redundant })
    await rig.say(bob, roomId, 'two')
    const second = await rig.sync(alice, { filter: redundant, since: first.next_batch })
    expect(membersOf(rig.mustJoined(second, roomId))).toEqual([bob.userId])
    const phone = await server.login('alice')
    const other = await rig.sync(phone, { filter: lazy(), since: first.next_batch })
    expect(membersOf(rig.mustJoined(other, roomId))).toEqual([bob.userId])
  })

  it('gives all member events of a gap, redundant or not', async () => {
    const roomId = await roomOfFour()
    const erin = await server.register('erin')
    const first = await rig.sync(alice, { filter: lazy() })
    await rig.join(erin, roomId)
    await rig.leave(dan, roomId)
    await rig.say(bob, roomId, 'one')
    await rig.say(bob, roomId, 'two')
    const room = rig.mustJoined(await rig.sync(alice, { filter: lazy(), since: first.next_batch }), roomId)
    expect(room.timeline.limited).toBe(true)
    expect(membersOf(room)).toEqual([bob.userId, dan.userId, erin.userId].toSorted())
  })

  it('gives senders as they were when the timeline began', async () => {
    const roomId = await roomOfFour()
    await rig.setState(bob, roomId, 'm.room.member', { membership: 'join', displayname: 'bob' }, bob.userId)
    for (let i = 0; i < 5; i += 1) await rig.say(alice, roomId, 'start')
    const { next_batch: since } = await rig.sync(alice, { filter: lazy({}, 5) })
    await rig.say(bob, roomId, 'as Bob')
    await rig.setState(bob, roomId, 'm.room.member', { membership: 'join', displayname: 'Robert' }, bob.userId)
    await rig.say(bob, roomId, 'as Robert')
    const room = rig.mustJoined(await rig.sync(alice, { filter: lazy({}, 5), since }), roomId)
    expect(room.timeline.events).toHaveLength(3)
    expect(room.state?.events.map(({ state_key: key, content }) => [key, content.displayname])).toEqual([
      [bob.userId, 'bob'],
    ])
  })

  it('gives members at the end of the timeline in state_after', async () => {
    const roomId = await roomOfFour()
    await rig.say(alice, roomId, 'start')
    const options = { filter: lazy({}, 5), use_state_after: true }
    const { next_batch: since } = await rig.sync(alice, options)
    await rig.say(bob, roomId, 'as Bob')
    await rig.setState(bob, roomId, 'm.room.member', { membership: 'join', displayname: 'Robert' }, bob.userId)
    const room = rig.mustJoined(await rig.sync(alice, { ...options, since }), roomId)
    expect(room.state_after?.events.map(({ content }) => content.displayname)).toEqual(['Robert'])
  })
})
