/** People of one home in rooms of another: over TLS, by the client API, with real queues. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ROOM_VERSIONS } from '../../server/protocol/room-versions.ts'
import { mustSetPusher, pusherBody } from '../push/rig.ts'
import { type Home, type Homes, startHomes } from '../support/homes.ts'
import { TestPushGateway } from '../support/push-gateway.ts'
import { allState, type ClientEvent, newRoom, roomPath, send, setState } from '../support/room-calls.ts'
import type { Person } from '../support/test-server.ts'

const V3 = '/_matrix/client/v3'
const e = encodeURIComponent

let homes: Homes
let alpha: Home
let beta: Home
let alice: Person
let bob: Person

beforeAll(async () => {
  homes = await startHomes(['alpha.test', 'beta.test', 'gamma.test'])
  alpha = homes.get('alpha.test')
  beta = homes.get('beta.test')
  alice = await alpha.register('alice')
  bob = await beta.register('bob')
}, 60_000)
afterAll(() => homes[Symbol.asyncDispose]())

interface Sync {
  readonly next_batch: string
  readonly rooms?: {
    readonly join?: Record<
      string,
      { state: { events: ClientEvent[] }; timeline: { events: ClientEvent[]; limited?: boolean } }
    >
    readonly invite?: Record<string, { invite_state: { events: ClientEvent[] } }>
    readonly knock?: Record<string, { knock_state: { events: ClientEvent[] } }>
    readonly leave?: Record<string, { timeline: { events: ClientEvent[] } }>
  }
}

/** Syncs on until a room is seen as it should be. */
async function untilSync<T>(person: Person, find: (sync: Sync) => T | undefined): Promise<T> {
  let since: string | undefined
  for (let i = 0; i < 40; i += 1) {
    const query = { timeout: 1_000, ...(since !== undefined && { since }) }
    const { body } = await person.api.get<Sync>(`${V3}/sync`, query)
    const found = find(body)
    if (found !== undefined) return found
    since = body.next_batch
  }
  throw new Error('it never came')
}

const join = (person: Person, room: string, via: readonly string[] = []) =>
  person.api.post<{ room_id: string; errcode?: string }>(
    `${V3}/join/${e(room)}?${via.map((server) => `via=${server}`).join('&')}`,
    {},
  )
const invite = (person: Person, roomId: string, userId: string) =>
  person.api.post<{ errcode?: string }>(roomPath(roomId, '/invite'), { user_id: userId })
const leave = (person: Person, roomId: string) => person.api.post(roomPath(roomId, '/leave'), {})
const membersOf = async (person: Person, roomId: string): Promise<readonly string[]> => {
  const { body } = await person.api.get<{ joined: object }>(roomPath(roomId, '/joined_members'))
  return Object.keys(body.joined).sort()
}
const invited = (roomId: string) => (sync: Sync) => sync.rooms?.invite?.[roomId]?.invite_state.events

describe('people of two homes', () => {
  it.each(ROOM_VERSIONS)(
    'are invited to a room of version %s, come in, talk and go',
    async (version) => {
      const roomId = await newRoom(alice, { room_version: version, preset: 'private_chat', name: `Version ${version}` })
      expect((await invite(alice, roomId, bob.userId)).status).toBe(200)
      const shown = await untilSync(bob, invited(roomId))
      expect(shown.find(({ type }) => type === 'm.room.name')?.content).toEqual({ name: `Version ${version}` })
      expect((await join(bob, roomId)).status).toBe(200)
      expect(await membersOf(bob, roomId)).toEqual([alice.userId, bob.userId])
      const hello = await send(bob, roomId, 'hello')
      await untilSync(alice, (sync) =>
        sync.rooms?.join?.[roomId]?.timeline.events.find(({ event_id }) => event_id === hello),
      )
      const welcome = await send(alice, roomId, 'welcome')
      await untilSync(bob, (sync) =>
        sync.rooms?.join?.[roomId]?.timeline.events.find(({ event_id }) => event_id === welcome),
      )
      expect((await leave(bob, roomId)).status).toBe(200)
      await expect.poll(() => membersOf(alice, roomId), { timeout: 20_000 }).toEqual([alice.userId])
    },
    60_000,
  )

  it('come into a public room by its alias, see its state, and are seen', async () => {
    const roomId = await newRoom(alice, { preset: 'public_chat', room_alias_name: 'garden', topic: 'Beans' })
    expect((await join(bob, '#garden:alpha.test')).body).toEqual({ room_id: roomId })
    const joined = await untilSync(bob, (sync) => sync.rooms?.join?.[roomId])
    const state = [...joined.state.events, ...joined.timeline.events]
    expect(state.find(({ type }) => type === 'm.room.topic')?.content.topic).toBe('Beans')
    expect(
      state
        .filter(({ type }) => type === 'm.room.member')
        .map(({ state_key }) => state_key)
        .sort(),
    ).toEqual([alice.userId, bob.userId])
    expect(await membersOf(alice, roomId)).toEqual([alice.userId, bob.userId])
  }, 60_000)

  it('turn an invite down, also while the other home is off', async () => {
    const first = await newRoom(alice, { preset: 'private_chat' })
    await invite(alice, first, bob.userId)
    await untilSync(bob, invited(first))
    expect((await leave(bob, first)).status).toBe(200)
    const members = await alice.api.get<{ chunk: ClientEvent[] }>(roomPath(first, '/members'), { membership: 'leave' })
    expect(members.body.chunk.map(({ state_key }) => state_key)).toEqual([bob.userId])

    const second = await newRoom(alice, { preset: 'private_chat' })
    await invite(alice, second, bob.userId)
    await untilSync(bob, invited(second))
    homes.cut(alpha, beta)
    expect((await leave(bob, second)).status).toBe(200)
    await untilSync(bob, (sync) => (sync.rooms?.invite?.[second] ? undefined : true))
    homes.heal(alpha, beta)
  }, 60_000)

  it('are rung up for an invite, with the name of the room and of who invites', async () => {
    await using gateway = await TestPushGateway.start()
    await mustSetPusher(bob, pusherBody(gateway.url))
    await alice.api.put(`${V3}/profile/${e(alice.userId)}/displayname`, { displayname: 'Alice' })
    const roomId = await newRoom(alice, { preset: 'private_chat', name: 'Attic' })
    await invite(alice, roomId, bob.userId)
    await gateway.until(() => gateway.notifications.some(({ room_id }) => room_id === roomId))
    expect(gateway.notifications.find(({ room_id }) => room_id === roomId)).toMatchObject({
      type: 'm.room.member',
      sender: alice.userId,
      sender_display_name: 'Alice',
      room_name: 'Attic',
      user_is_target: true,
    })
    // The list of notifications still works.
    expect((await bob.api.get(`${V3}/notifications`)).status).toBe(200)
    await mustSetPusher(bob, { ...pusherBody(gateway.url), kind: null })
  }, 60_000)

  it('see invites in sliding sync, too, and rooms that they came into', async () => {
    const path = '/_matrix/client/unstable/org.matrix.simplified_msc3575/sync'
    const list = {
      ranges: [[0, 99]],
      required_state: [
        ['m.room.create', ''],
        ['m.room.member', '*'],
      ],
      timeline_limit: 5,
    }
    const slide = async () => {
      const { body } = await bob.api.post<{ rooms: Record<string, Record<string, unknown>> }>(path, {
        lists: { all: list },
      })
      return body.rooms
    }
    const roomId = await newRoom(alice, { preset: 'private_chat', name: 'Loft' })
    await invite(alice, roomId, bob.userId)
    expect((await slide())[roomId]?.invite_state).toEqual(
      expect.arrayContaining([expect.objectContaining({ type: 'm.room.name', content: { name: 'Loft' } })]),
    )
    await join(bob, roomId)
    const joined = (await slide())[roomId]
    expect(joined?.name).toBe('Loft')
    expect(joined?.joined_count).toBe(2)
    await leave(bob, roomId)
  }, 60_000)

  it('hear that an invite is taken back', async () => {
    const roomId = await newRoom(alice, { preset: 'private_chat' })
    await invite(alice, roomId, bob.userId)
    await untilSync(bob, invited(roomId))
    await alice.api.post(roomPath(roomId, '/kick'), { user_id: bob.userId })
    await untilSync(bob, (sync) => (sync.rooms?.invite?.[roomId] ? undefined : true))
    expect((await join(bob, roomId)).status).toBe(403)
  }, 60_000)

  it('knock, and are let in', async () => {
    const initial_state = [{ type: 'm.room.join_rules', content: { join_rule: 'knock' } }]
    const roomId = await newRoom(alice, { preset: 'private_chat', name: 'Hall', initial_state })
    const knock = await bob.api.post(`${V3}/knock/${e(roomId)}?via=alpha.test`, { reason: 'please' })
    expect(knock.status).toBe(200)
    const shown = await untilSync(bob, (sync) => sync.rooms?.knock?.[roomId]?.knock_state.events)
    expect(shown.find(({ type }) => type === 'm.room.name')?.content.name).toBe('Hall')
    await invite(alice, roomId, bob.userId)
    await untilSync(bob, invited(roomId))
    expect((await join(bob, roomId)).status).toBe(200)
  }, 60_000)

  it('come into a restricted room as members of another one', async () => {
    const club = await newRoom(alice, { preset: 'public_chat' })
    const join_rule = { join_rule: 'restricted', allow: [{ type: 'm.room_membership', room_id: club }] }
    const initial_state = [{ type: 'm.room.join_rules', content: join_rule }]
    const roomId = await newRoom(alice, { preset: 'private_chat', initial_state })
    expect((await join(bob, roomId, ['alpha.test'])).status).toBe(403)
    expect((await join(bob, club, ['alpha.test'])).status).toBe(200)
    expect((await join(bob, roomId, ['alpha.test'])).status).toBe(200)
    const state = await allState(bob, roomId)
    const member = state.find(({ type, state_key }) => type === 'm.room.member' && state_key === bob.userId)
    expect(member?.content.join_authorised_via_users_server).toBe(alice.userId)
  }, 60_000)

  it('come back into a room that changed while nobody of their home was in it', async () => {
    const roomId = await newRoom(alice, { preset: 'public_chat', name: 'Before' })
    await join(bob, roomId, ['alpha.test'])
    await leave(bob, roomId)
    await expect.poll(() => membersOf(alice, roomId), { timeout: 20_000 }).toEqual([alice.userId])
    await setState(alice, roomId, 'm.room.name', { name: 'After' })
    await send(alice, roomId, 'unheard')
    expect((await join(bob, roomId)).status).toBe(200)
    const state = await allState(bob, roomId)
    expect(state.find(({ type }) => type === 'm.room.name')?.content).toEqual({ name: 'After' })
    const again = await send(bob, roomId, 'back again')
    await untilSync(alice, (sync) =>
      sync.rooms?.join?.[roomId]?.timeline.events.find(({ event_id }) => event_id === again),
    )
  }, 60_000)

  it('still are where they were after both homes were started anew', async () => {
    const roomId = await newRoom(alice, { preset: 'public_chat' })
    const waiting = await newRoom(alice, { preset: 'private_chat' })
    await join(bob, roomId, ['alpha.test'])
    await invite(alice, waiting, bob.userId)
    await beta.restart()
    await alpha.restart()
    alice = await alpha.login('alice')
    bob = await beta.login('bob')
    expect(await membersOf(bob, roomId)).toEqual([alice.userId, bob.userId])
    await untilSync(bob, invited(waiting))
    expect((await join(bob, waiting)).status).toBe(200)
    const eventId = await send(bob, roomId, 'good morning')
    await untilSync(alice, (sync) =>
      sync.rooms?.join?.[roomId]?.timeline.events.find(({ event_id }) => event_id === eventId),
    )
  }, 60_000)

  it('hear in plain words that a home cannot be reached', async () => {
    homes.cut(alpha, beta)
    const roomId = await newRoom(alice, { preset: 'private_chat' })
    const reply = await invite(alice, roomId, bob.userId)
    expect(reply).toMatchObject({
      status: 502,
      body: { errcode: 'M_UNKNOWN', error: 'The other server could not be reached' },
    })
    expect((await join(bob, roomId, ['alpha.test'])).status).toBe(502)
    homes.heal(alpha, beta)
  }, 60_000)
})

describe('people of three homes', () => {
  it('all are in the room, whoever they came in through, and hear each other', async () => {
    const gamma = homes.get('gamma.test')
    const carol = await gamma.register('carol')
    const roomId = await newRoom(alice, { preset: 'public_chat', name: 'All' })
    await join(bob, roomId, ['alpha.test'])
    expect((await join(carol, roomId, ['beta.test'])).status).toBe(200)
    const everybody = [alice.userId, bob.userId, carol.userId].sort()
    expect(await membersOf(carol, roomId)).toEqual(everybody)
    for (const person of [alice, bob]) {
      await expect.poll(() => membersOf(person, roomId), { timeout: 20_000 }).toEqual(everybody)
    }
    const eventId = await send(carol, roomId, 'hello all')
    for (const person of [alice, bob]) {
      await untilSync(person, (sync) =>
        sync.rooms?.join?.[roomId]?.timeline.events.find(({ event_id }) => event_id === eventId),
      )
    }
  }, 60_000)
})
