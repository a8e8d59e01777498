import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Person, startTestServer, type TestServer } from '../../support/test-server.ts'
import * as rig from '../../sync/rig.ts'
import { bodiesOf, listTo, roomsIn, slide, trySlide } from '../../sync/sliding-rig.ts'

let server: TestServer
let people = 0
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(async () => {
  expect(server.complaints).toEqual([])
  await server[Symbol.asyncDispose]()
})
const somebody = (): Promise<Person> => {
  people += 1
  return server.register(`person${people}`)
}

/** Rooms in the order of their making. */
async function rooms(by: Person, count: number, wish: Record<string, unknown> = {}): Promise<readonly string[]> {
  const made: string[] = []
  for (let i = 0; i < count; i += 1) made.push(await rig.createRoom(by, { name: `Room ${i}`, ...wish }))
  return made
}

describe('MSC4186 §Lists', () => {
  it('gives the rooms within the range, newest activity first, and the number of all', async () => {
    const alice = await somebody()
    const [a = '', b = '', c = ''] = await rooms(alice, 3)
    await rig.say(alice, a, 'newest')
    const body = await slide(alice, listTo(1))
    expect(roomsIn(body)).toEqual([a, c])
    expect(body.lists).toEqual({ all: { count: 3 } })
    expect(body.rooms[a]).toMatchObject({ initial: true, name: 'Room 0', membership: 'join', lists: ['all'] })
    const wider = await slide(alice, listTo(2), { pos: body.pos })
    expect(roomsIn(wider)).toEqual([b])
    expect(wider.rooms[b]?.initial).toBe(true)
  })

  it('gives all rooms without a range, and takes the newer form of one range', async () => {
    const alice = await somebody()
    const [, b = ''] = await rooms(alice, 2)
    const config = { timeline_limit: 0, required_state: [] }
    const body = await slide(alice, { lists: { every: config, one: { ...config, range: [0, 0] } } })
    expect(body.lists).toEqual({ every: { count: 2 }, one: { count: 2 } })
    expect(body.rooms[b]?.lists).toEqual(['every', 'one'])
    expect(roomsIn(body)).toHaveLength(2)
  })

  it('sends a room again only where something happened, and then only what is new', async () => {
    const alice = await somebody()
    const [a = '', b = ''] = await rooms(alice, 2)
    const first = await slide(alice, listTo(9, { timeline_limit: 5 }))
    const second = await slide(alice, listTo(9, { timeline_limit: 5 }), { pos: first.pos })
    expect(second.rooms).toEqual({})
    await rig.say(alice, a, 'one')
    await rig.say(alice, a, 'two')
    const third = await slide(alice, listTo(9, { timeline_limit: 5 }), { pos: second.pos })
    expect(roomsIn(third)).toEqual([a])
    expect(bodiesOf(third.rooms[a])).toEqual(['one', 'two'])
    expect(third.rooms[a]).toMatchObject({ limited: false, num_live: 2 })
    expect(third.rooms[a]).not.toHaveProperty('initial')
    expect(third.rooms[a]).not.toHaveProperty('name')
    expect(third.rooms[b]).toBeUndefined()
  })

  it('tells what was missed of a room that falls out of the range and comes back', async () => {
    const alice = await somebody()
    const [a = '', b = ''] = await rooms(alice, 2)
    const list = listTo(0, { timeline_limit: 10 })
    const first = await slide(alice, list)
    expect(roomsIn(first)).toEqual([b])
    await rig.say(alice, b, 'while in')
    await rig.say(alice, a, 'pushes b out')
    const second = await slide(alice, list, { pos: first.pos })
    expect(roomsIn(second)).toEqual([a])
    await rig.say(alice, b, 'back')
    const third = await slide(alice, list, { pos: second.pos })
    expect(bodiesOf(third.rooms[b])).toEqual(['while in', 'back'])
    expect(third.rooms[b]).not.toHaveProperty('initial')
  })

  it('has invites, knocks and rooms one was put out of, and no room that one left', async () => {
    const [alice, bob] = [await somebody(), await somebody()]
    const [left = '', kicked = '', banned = '', invited = ''] = await rooms(alice, 4)
    const knocked = await rig.createRoom(alice, {
      initial_state: [{ type: 'm.room.join_rules', state_key: '', content: { join_rule: 'knock' } }],
    })
    for (const room of [left, kicked, banned]) await rig.join(bob, room)
    await rig.leave(bob, left)
    await rig.kick(alice, kicked, bob)
    await rig.ban(alice, banned, bob)
    await rig.invite(alice, invited, bob)
    await rig.knock(bob, knocked)
    const neverIn = await rig.createRoom(alice)
    await rig.ban(alice, neverIn, bob)
    const body = await slide(bob, listTo(9, { required_state: [['m.room.member', '$ME']] }))
    expect(roomsIn(body)).toEqual([knocked, invited, banned, kicked])
    expect(body.rooms[invited]).toMatchObject({ membership: 'invite', initial: true })
    expect(body.rooms[invited]?.invite_state?.map(({ type }) => type)).toContain('m.room.create')
    expect(body.rooms[invited]).not.toHaveProperty('timeline')
    expect(body.rooms[knocked]).toMatchObject({ membership: 'knock', knock_state: expect.any(Array) })
    expect(body.rooms[kicked]?.membership).toBe('leave')
    expect(body.rooms[kicked]?.required_state?.[0]?.content.membership).toBe('leave')
    expect(body.rooms[banned]?.membership).toBe('ban')
  })

  it('tells once that a room was left, by oneself or with an invite taken back', async () => {
    const [alice, bob] = [await somebody(), await somebody()]
    const [joined = '', invited = ''] = await rooms(alice, 2)
    await rig.join(bob, joined)
    await rig.invite(alice, invited, bob)
    const list = listTo(9, { required_state: [['m.room.member', '$ME']], timeline_limit: 5 })
    const first = await slide(bob, list)
    expect(first.lists.all?.count).toBe(2)
    await rig.say(alice, joined, 'bye')
    await rig.leave(bob, joined)
    await rig.say(alice, joined, 'not for bob')
    await rig.kick(alice, invited, bob)
    const second = await slide(bob, list, { pos: first.pos })
    expect(second.lists.all?.count).toBe(0)
    expect(bodiesOf(second.rooms[joined])).toEqual(['bye', 'm.room.member'])
    for (const room of [joined, invited]) {
      expect(second.rooms[room]?.membership).toBe('leave')
      expect(second.rooms[room]?.required_state?.[0]?.content.membership).toBe('leave')
    }
    expect((await slide(bob, list, { pos: second.pos })).rooms).toEqual({})
    await rig.join(bob, joined)
    const back = await slide(bob, list, { pos: second.pos })
    expect(back.rooms[joined]?.initial).toBe(true)
  })

  it('tells of a room that was left and forgotten in one go', async () => {
    const [alice, bob] = [await somebody(), await somebody()]
    const [room = ''] = await rooms(alice, 1)
    await rig.join(bob, room)
    const first = await slide(bob, listTo(9))
    await rig.leave(bob, room)
    await rig.forget(bob, room)
    const second = await slide(bob, listTo(9), { pos: first.pos })
    expect(second.rooms[room]?.membership).toBe('leave')
  })

  it('hides invites of ignored users', async () => {
    const [alice, bob] = [await somebody(), await somebody()]
    const [room = ''] = await rooms(alice, 1)
    await rig.setAccountData(bob, 'm.ignored_user_list', { ignored_users: { [alice.userId]: {} } })
    await rig.invite(alice, room, bob)
    const body = await slide(bob, {
      ...listTo(9),
      room_subscriptions: { [room]: { timeline_limit: 1, required_state: [] } },
    })
    expect(body).toMatchObject({ rooms: {}, lists: { all: { count: 0 } } })
  })

  it('refuses more than 100 lists or subscriptions, and ranges that end before they begin', async () => {
    const alice = await somebody()
    const config = { timeline_limit: 1, required_state: [] }
    const many = Object.fromEntries(Array.from({ length: 101 }, (_, i) => [`!${i}:x`, config]))
    for (const body of [{ lists: many }, { room_subscriptions: many }, listTo(0, { ranges: [[2, 1]] })]) {
      expect(await trySlide(alice, body)).toMatchObject({ status: 400, body: { errcode: 'M_INVALID_PARAM' } })
    }
  })

  it('is announced in /versions', async () => {
    const { body } = await server.api().get<{ unstable_features: object }>('/_matrix/client/versions')
    expect(body.unstable_features).toMatchObject({ 'org.matrix.simplified_msc3575': true })
  })
})

describe('MSC4186 §SlidingRoomFilter', () => {
  it('filters by direct chats, and tells when a room becomes one', async () => {
    const alice = await somebody()
    const [a = '', b = ''] = await rooms(alice, 2)
    await rig.setAccountData(alice, 'm.direct', { '@x:y': [a] })
    const config = { timeline_limit: 0, required_state: [], ranges: [[0, 9]] as [number, number][] }
    const body = {
      lists: { direct: { ...config, filters: { is_dm: true } }, others: { ...config, filters: { is_dm: false } } },
    }
    const first = await slide(alice, body)
    expect(first.rooms[a]).toMatchObject({ is_dm: true, lists: ['direct'] })
    expect(first.rooms[b]).not.toHaveProperty('is_dm')
    await rig.setAccountData(alice, 'm.direct', { '@x:y': [b] })
    const second = await slide(alice, body, { pos: first.pos })
    expect(second.rooms[a]).toMatchObject({ is_dm: false, lists: ['others'] })
    expect(second.rooms[b]).toMatchObject({ is_dm: true, lists: ['direct'] })
  })

  it('filters by tags, where not_tags is stronger', async () => {
    const alice = await somebody()
    const [a = '', b = '', c = ''] = await rooms(alice, 3)
    const tag = (room: string, name: string) =>
      alice.api.put(
        `/_matrix/client/v3/user/${encodeURIComponent(alice.userId)}/rooms/${encodeURIComponent(room)}/tags/${name}`,
        {},
      )
    await tag(a, 'u.one')
    await tag(b, 'u.one')
    await tag(b, 'u.two')
    const body = listTo(9, { filters: { tags: ['u.one', 'u.three'], not_tags: ['u.two'] } })
    const first = await slide(alice, body)
    expect(roomsIn(first)).toEqual([a])
    await tag(c, 'u.three')
    expect(roomsIn(await slide(alice, body, { pos: first.pos }))).toEqual([c])
  })

  it('filters by invites', async () => {
    const [alice, bob] = [await somebody(), await somebody()]
    const [joined = '', invited = ''] = await rooms(alice, 2)
    await rig.join(bob, joined)
    await rig.invite(alice, invited, bob)
    expect(roomsIn(await slide(bob, listTo(9, { filters: { is_invite: true } })))).toEqual([invited])
    expect(roomsIn(await slide(bob, listTo(9, { filters: { is_invited: false } })))).toEqual([joined])
  })

  it('filters by encryption, kind and name, also of rooms that one is invited to', async () => {
    const [alice, bob] = [await somebody(), await somebody()]
    const encryption = { type: 'm.room.encryption', state_key: '', content: { algorithm: 'm.megolm.v1.aes-sha2' } }
    const plain = await rig.createRoom(alice, { name: 'Kitchen' })
    const secret = await rig.createRoom(alice, { name: 'Cellar', initial_state: [encryption] })
    const space = await rig.createRoom(alice, { name: 'House', creation_content: { type: 'm.space' } })
    for (const room of [plain, secret, space]) await rig.invite(alice, room, bob)
    for (const who of [alice, bob]) {
      const rooms = async (filters: object) => roomsIn(await slide(who, listTo(9, { filters })))
      expect(await rooms({ is_encrypted: true })).toEqual([secret])
      expect(await rooms({ is_encrypted: false })).toEqual([space, plain])
      expect(await rooms({ room_types: ['m.space'] })).toEqual([space])
      expect(await rooms({ room_types: [null] })).toEqual([secret, plain])
      expect(await rooms({ room_types: ['m.space', null], not_room_types: ['m.space'] })).toEqual([secret, plain])
      expect(await rooms({ room_name_like: 'LL' })).toEqual([secret])
    }
    await rig.setState(alice, plain, 'm.room.encryption', encryption.content)
    expect(roomsIn(await slide(alice, listTo(9, { filters: { is_encrypted: true } })))).toEqual([plain, secret])
  })

  it('filters by the children of spaces that one is in', async () => {
    const [alice, bob] = [await somebody(), await somebody()]
    const [child = '', other = ''] = await rooms(alice, 2)
    const space = await rig.createRoom(alice, { creation_content: { type: 'm.space' } })
    await rig.setState(alice, space, 'm.space.child', { via: ['hearth.test'] }, child)
    const body = listTo(9, { filters: { spaces: [space] } })
    const first = await slide(alice, body)
    expect(roomsIn(first)).toEqual([child])
    await rig.setState(alice, space, 'm.space.child', { via: ['hearth.test'] }, other)
    const second = await slide(alice, body, { pos: first.pos })
    expect(roomsIn(second)).toEqual([other])
    await rig.join(bob, child)
    expect(roomsIn(await slide(bob, body))).toEqual([])
  })
})
