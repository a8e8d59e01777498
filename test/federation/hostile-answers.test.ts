import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { systemClock } from '../../server/index.ts'
import type { Clock } from '../../server/observe/environment.ts'
import { type ForeignServer, sendJson, startForeignServer } from '../support/foreign-server.ts'
import { type Home, type Homes, startHomes } from '../support/homes.ts'
import { newRoom, roomPath } from '../support/room-calls.ts'
import type { Person } from '../support/test-server.ts'

const NAME = 'there.test'
let homes: Homes & { readonly 0: Home }
let there: ForeignServer
let alice: Person
let aheadMs: number
const clock: Clock = { now: () => systemClock.now() + aheadMs, after: systemClock.after }
/** By the beginning of the path behind `/_matrix/federation/v1/`: what it answers. */
let answers: Record<string, unknown>
beforeEach(async () => {
  aheadMs = 0
  homes = await startHomes(['alpha.test'], { clock })
  there = await startForeignServer({ ca: homes.ca, name: NAME })
  homes.names.set(NAME, { port: there.port })
  answers = {}
  there.answer = ({ url }, response) => {
    const path = decodeURIComponent(url).replace('/_matrix/federation/v1/', '')
    const found = Object.entries(answers).find(([beginning]) => path.startsWith(beginning))
    if (found) sendJson(response, 200, found[1])
    else sendJson(response, 404, { errcode: 'M_NOT_FOUND', error: 'no' })
  }
  alice = await homes[0].register('alice')
})
afterEach(async () => {
  await there[Symbol.asyncDispose]()
  await homes[Symbol.asyncDispose]()
})

const inPath = encodeURIComponent
const askedFor = (path: string) => there.asked.filter(({ url }) => decodeURIComponent(url).includes(path)).length

describe('client-server-api §Profiles, of a server that answers what it likes', () => {
  const get = (userId: string, field = '') => alice.api.get(`/_matrix/client/v3/profile/${inPath(userId)}${field}`)

  it('takes name and picture for texts alone, and null for nothing', async () => {
    answers = { 'query/profile': { displayname: 5, avatar_url: null, 'm.tz': 'Europe/Paris', other: { a: [1.5] } } }
    expect((await get('@a:there.test')).body).toEqual({ 'm.tz': 'Europe/Paris', other: { a: [1.5] } })
    expect((await get('@a:there.test', '/displayname')).status).toBe(404)
  })

  it.each([
    ['a list', []],
    ['too much', { displayname: 'a'.repeat(200_000) }],
  ])('is 502 for %s', async (_name, answer) => {
    answers = { 'query/profile': answer }
    expect(await get('@a:there.test')).toMatchObject({ status: 502, body: { errcode: 'M_UNKNOWN' } })
  })

  it.each([
    [403, 'M_FORBIDDEN', 403, 'M_FORBIDDEN'],
    [401, 'M_UNKNOWN_TOKEN', 502, 'M_UNKNOWN'],
    [429, 'M_LIMIT_EXCEEDED', 429, 'M_LIMIT_EXCEEDED'],
    [500, 'M_UNKNOWN', 502, 'M_UNKNOWN'],
  ])('turns its %d %s into %d %s', async (theirs, theirCode, status, errcode) => {
    there.answer = (_asked, response) => sendJson(response, theirs, { errcode: theirCode, error: 'so it is' })
    expect(await get('@a:there.test')).toMatchObject({ status, body: { errcode } })
  })
})

describe('client-server-api §Published room directory, of a server that answers what it likes', () => {
  const list = (query = {}) =>
    alice.api.get<{ chunk: object[]; next_batch?: string }>('/_matrix/client/v3/publicRooms', {
      server: NAME,
      ...query,
    })

  it('shows what is a room, with what has the right shape', async () => {
    const room = { room_id: '!a:there.test', num_joined_members: 3, world_readable: true, guest_can_join: false }
    answers = {
      publicRooms: {
        chunk: [
          null,
          { ...room, room_id: 'a' },
          { ...room, name: 7, topic: 'soup', canonical_alias: 'no alias', secret: 'key' },
          { room_id: '!b:there.test', num_joined_members: 'many', name: 'B' },
        ],
        next_batch: 5,
        total_room_count_estimate: 'many',
      },
    }
    expect((await list()).body).toEqual({
      chunk: [
        { ...room, topic: 'soup' },
        { room_id: '!b:there.test', num_joined_members: 0, world_readable: false, guest_can_join: false, name: 'B' },
      ],
      total_room_count_estimate: 2,
    })
  })

  it('shows no more than was asked for', async () => {
    const chunk = Array.from({ length: 1_000 }, (_, i) => ({ room_id: `!${i}:there.test`, num_joined_members: 1 }))
    answers = { publicRooms: { chunk, next_batch: 'n' } }
    const { body } = await list({ limit: 3 })
    expect([body.chunk.length, body.next_batch]).toEqual([3, 'n'])
    expect((await list({ limit: 1_000_000 })).body.chunk.length).toBe(500)
  })

  it('is empty where there is none, and 403 where it is closed', async () => {
    answers = { publicRooms: {} }
    expect((await list()).body).toEqual({ chunk: [], total_room_count_estimate: 0 })
    there.answer = (_asked, response) => sendJson(response, 403, { errcode: 'M_FORBIDDEN', error: 'not for you' })
    expect(await list()).toMatchObject({ status: 403, body: { errcode: 'M_FORBIDDEN', error: 'not for you' } })
  })
})

describe('client-server-api §Discovering rooms within spaces, of a server that answers what it likes', () => {
  const room = (roomId: string, more: object = {}) => ({
    room_id: roomId,
    num_joined_members: 1,
    world_readable: false,
    guest_can_join: false,
    join_rule: 'public',
    ...more,
  })
  const childState = (roomId: unknown, content: unknown = { via: [NAME] }, more: object = {}) => ({
    type: 'm.space.child',
    state_key: roomId,
    sender: '@a:there.test',
    content,
    origin_server_ts: 1,
    ...more,
  })
  const answer = (of: object, childrenState: unknown[] = [], children: unknown[] = [], closed: unknown[] = []) => ({
    room: { ...of, children_state: childrenState },
    children,
    inaccessible_children: closed,
  })

  let space: string
  beforeEach(async () => {
    space = await newRoom(alice, { name: 'Ours', creation_content: { type: 'm.space' } })
    await alice.api.put(roomPath(space, `/state/m.space.child/${inPath('!top:there.test')}`), { via: [NAME] })
  })
  const hierarchy = async (query = {}) => {
    const { body } = await alice.api.get<{ rooms: { room_id: string }[]; next_batch?: string }>(
      `/_matrix/client/v1/rooms/${inPath(space)}/hierarchy`,
      query,
    )
    return body
  }
  const idsOf = async () => (await hierarchy()).rooms.map(({ room_id }) => room_id)
  const asSpace = { room_type: 'm.space' }

  it('goes through its spaces in their order, with one request for all that it told at once', async () => {
    answers = {
      'hierarchy/!top:there.test': answer(
        room('!top:there.test', asSpace),
        [
          childState('!c:there.test'),
          childState('!b:there.test', { via: [NAME], order: 'b' }),
          childState('!a:there.test', { via: [NAME], order: 'a' }),
          childState('!shut:there.test'),
          childState('!top:there.test'),
        ],
        [room('!c:there.test', { name: 'C' }), room('!a:there.test'), room('!b:there.test'), room('!other:there.test')],
        ['!shut:there.test'],
      ),
    }
    const ids = ['!top:there.test', '!a:there.test', '!b:there.test', '!c:there.test']
    expect(await idsOf()).toEqual([space, ...ids])
    expect(await idsOf()).toEqual([space, ...ids])
    expect(askedFor('/hierarchy/')).toBe(1)
    aheadMs += 10 * 60_000
    await idsOf()
    expect(askedFor('/hierarchy/')).toBeGreaterThan(1)
  })

  it('shows what users of this home may know, whatever the other server shows its home', async () => {
    const restricted = { join_rule: 'restricted' }
    answers = {
      'hierarchy/!top:there.test': answer(
        room('!top:there.test', asSpace),
        ['!invite', '!mine', '!theirs', '!read', '!knock'].map((id) => childState(`${id}:there.test`)),
        [
          room('!invite:there.test', { join_rule: 'invite' }),
          room('!mine:there.test', { ...restricted, allowed_room_ids: [space] }),
          room('!theirs:there.test', { ...restricted, allowed_room_ids: ['!x:there.test'] }),
          room('!read:there.test', { join_rule: 'invite', world_readable: true }),
          room('!knock:there.test', { join_rule: 'knock' }),
        ],
      ),
    }
    expect((await idsOf()).slice(2).sort()).toEqual(['!knock:there.test', '!mine:there.test', '!read:there.test'])
  })

  it.each([
    ['another room', answer(room('!x:there.test'))],
    ['no room', { room: {}, children: [], inaccessible_children: [] }],
    ['lists that are none', { room: room('!top:there.test'), children: {}, inaccessible_children: 5 }],
    ['a list', []],
  ])('goes on without a room where the answer has %s', async (_name, said) => {
    answers = { 'hierarchy/!top:there.test': said }
    expect(await idsOf()).toEqual([space])
  })

  it('passes over children that are malformed', async () => {
    answers = {
      'hierarchy/!top:there.test': answer(room('!top:there.test', asSpace), [
        null,
        childState(5),
        childState('not a room'),
        childState('!a:there.test', { via: 'there.test' }),
        childState('!b:there.test', 'soup'),
        childState('!c:there.test', { via: [NAME] }, { type: 'm.room.name' }),
        childState('!d:there.test', { via: [NAME] }, { sender: 'nobody' }),
        childState('!good:there.test', { via: ['\u0000', NAME] }, { origin_server_ts: 'soon' }),
      ]),
      'hierarchy/!good:there.test': answer(room('!good:there.test')),
    }
    const { rooms } = await hierarchy()
    expect(rooms.map(({ room_id }) => room_id)).toEqual([space, '!top:there.test', '!good:there.test'])
    expect((rooms[1] as unknown as { children_state: object[] }).children_state).toEqual([
      childState('!good:there.test', { via: ['\u0000', NAME] }, { origin_server_ts: 0 }),
    ])
  })

  it('ends in spaces without end', async () => {
    let depth = 0
    there.answer = (_asked, response) => {
      depth += 1
      const id = depth === 1 ? '!top:there.test' : `!deep${depth - 1}:there.test`
      sendJson(response, 200, answer(room(id, asSpace), [childState(`!deep${depth}:there.test`)]))
    }
    const { rooms, next_batch: next } = await hierarchy({ limit: 100 })
    expect([rooms.length, next]).toEqual([21, undefined])
  })
})
