import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { manualClock } from '../../support/manual-clock.ts'
import { act, join, knock, leave, newRoom, setState } from '../../support/room-calls.ts'
import { faultsOfReply } from '../../support/spec-schema.ts'
import { type Person, startTestServer, type TestServer } from '../../support/test-server.ts'

const clock = manualClock()
let server: TestServer
let alice: Person
let bob: Person
beforeAll(async () => {
  server = await startTestServer({ clock })
  alice = await server.register('alice')
  bob = await server.register('bob')
})
afterAll(() => server[Symbol.asyncDispose]())

const e = encodeURIComponent
const forbidden = { status: 403, body: { errcode: 'M_FORBIDDEN' } }
const notFound = { status: 404, body: { errcode: 'M_NOT_FOUND' } }
const badParam = { status: 400, body: { errcode: 'M_INVALID_PARAM' } }

interface Found {
  readonly rooms: readonly {
    readonly room_id: string
    readonly name?: string
    readonly children_state: readonly { readonly state_key: string }[]
    readonly [key: string]: unknown
  }[]
  readonly next_batch?: string
}
const hierarchy = (by: Person, roomId: string, query: Record<string, string | number | boolean> = {}) =>
  by.api.get<Found>(`/_matrix/client/v1/rooms/${e(roomId)}/hierarchy`, query)
const names = async (by: Person, roomId: string, query: Record<string, string | number | boolean> = {}) =>
  (await hierarchy(by, roomId, query)).body.rooms.map(({ name }) => name)
const summary = (by: Person, roomIdOrAlias: string) => by.api.get(`/_matrix/client/v1/room_summary/${e(roomIdOrAlias)}`)

const room = (name: string, wish: Record<string, unknown> = {}) =>
  newRoom(alice, { name, preset: 'public_chat', ...wish })
const space = (name: string, wish: Record<string, unknown> = {}) =>
  room(name, { creation_content: { type: 'm.space' }, ...wish })
async function add(parent: string, child: string, content: Record<string, unknown> = {}): Promise<void> {
  clock.advance(1)
  await setState(alice, parent, 'm.space.child', { via: ['hearth.test'], ...content }, child)
}
const joinRule = (join_rule: string, allowed?: string) => ({
  type: 'm.room.join_rules',
  content: { join_rule, ...(allowed !== undefined && { allow: [{ type: 'm.room_membership', room_id: allowed }] }) },
})

describe('client-server-api §GET /rooms/{roomId}/hierarchy', () => {
  it('goes through a space depth first, each room once, and breaks loops', async () => {
    const top = await space('top')
    const inner = await space('inner')
    const [a, b, c] = [await room('a'), await room('b'), await room('c')]
    await add(top, a)
    await add(top, inner)
    await add(top, b)
    await add(inner, c)
    await add(inner, top)
    await add(inner, b)
    const { body } = await hierarchy(bob, top)
    expect(faultsOfReply('getSpaceHierarchy', body)).toEqual([])
    expect(body.rooms.map(({ name }) => name)).toEqual(['top', 'a', 'inner', 'c', 'b'])
    expect(body.next_batch).toBeUndefined()
    expect(body.rooms[0]).toMatchObject({
      room_id: top,
      room_type: 'm.space',
      join_rule: 'public',
      room_version: '12',
      num_joined_members: 1,
      world_readable: false,
      guest_can_join: false,
      children_state: [
        { type: 'm.space.child', state_key: a, sender: alice.userId, content: { via: ['hearth.test'] } },
        { state_key: inner },
        { state_key: b },
      ],
    })
    expect(body.rooms[0]?.children_state[0]).toHaveProperty('origin_server_ts', expect.any(Number))
    expect(body.rooms[1]?.children_state).toEqual([])
  })

  it('orders children by their order, then by time', async () => {
    const top = await space('top')
    for (const [name, order] of [
      ['e', undefined],
      ['d', 5],
      ['f', '\u007f'],
      ['g', 'x'.repeat(51)],
      ['c', 'first'],
      ['a', ' '],
      ['b', 'aaaa'],
    ] as const) {
      await add(top, await room(name), order === undefined ? {} : { order })
    }
    expect(await names(bob, top)).toEqual(['top', 'a', 'b', 'c', 'e', 'd', 'f', 'g'])
  })

  it('leaves out children without a valid via', async () => {
    const top = await space('top')
    for (const via of [undefined, 'hearth.test', [5], null]) await add(top, await room('bad'), { via })
    const removed = await room('removed')
    await add(top, removed)
    await setState(alice, top, 'm.space.child', {}, removed)
    await setState(alice, top, 'm.space.child', { via: ['hearth.test'] }, 'not a room')
    await add(top, await room('good'))
    const { rooms } = (await hierarchy(bob, top)).body
    expect(rooms.map(({ name }) => name)).toEqual(['top', 'good'])
    expect(rooms[0]?.children_state).toHaveLength(1)
  })

  it('goes no deeper than asked for, and only into suggested rooms where that is asked for', async () => {
    const top = await space('top')
    const inner = await space('inner')
    await add(top, inner, { suggested: true })
    await add(top, await room('a'))
    await add(inner, await room('b'), { suggested: true })
    await add(inner, await room('c'), { suggested: 'yes' })
    expect(await names(bob, top, { max_depth: 0 })).toEqual(['top'])
    expect(await names(bob, top, { max_depth: 1 })).toEqual(['top', 'inner', 'a'])
    expect(await names(bob, top, { suggested_only: true })).toEqual(['top', 'inner', 'b'])
    expect(await names(bob, top, { suggested_only: true, max_depth: 1 })).toEqual(['top', 'inner'])
    expect(await hierarchy(bob, top, { max_depth: -1 })).toMatchObject(badParam)
    expect(await hierarchy(bob, top, { limit: 0 })).toMatchObject(badParam)
  })

  it('pages, and takes a token for the same question of the same user only', async () => {
    const top = await space('top')
    for (const name of ['a', 'b', 'c', 'd']) await add(top, await room(name))
    const first = (await hierarchy(bob, top, { limit: 2 })).body
    expect(first.rooms.map(({ name }) => name)).toEqual(['top', 'a'])
    const from = first.next_batch ?? ''
    for (let again = 0; again < 2; again += 1) expect(await names(bob, top, { limit: 2, from })).toEqual(['b', 'c'])
    const second = (await hierarchy(bob, top, { limit: 2, from })).body
    const last = (await hierarchy(bob, top, { limit: 2, from: second.next_batch ?? '' })).body
    expect(last.rooms.map(({ name }) => name)).toEqual(['d'])
    expect(last.next_batch).toBeUndefined()
    expect(await hierarchy(bob, top, { from: 'nonsense' })).toMatchObject(badParam)
    expect(await hierarchy(bob, top, { from, suggested_only: true })).toMatchObject(badParam)
    expect(await hierarchy(bob, top, { from, max_depth: 1 })).toMatchObject(badParam)
    expect(await hierarchy(alice, top, { from })).toMatchObject(badParam)
  })

  it('gives 50 rooms where no limit is named, 100 at most, and 20 levels', async () => {
    const wide = await space('wide')
    const made = await Promise.all(Array.from({ length: 105 }, (_, i) => room(`${i}`)))
    for (const child of made) await add(wide, child)
    const found = async (query = {}) => (await hierarchy(bob, wide, query)).body
    expect((await found()).rooms).toHaveLength(50)
    const most = await found({ limit: 1_000_000 })
    expect([most.rooms.length, typeof most.next_batch]).toEqual([100, 'string'])
    const levels = [await space('0')]
    for (let i = 1; i <= 22; i += 1) {
      levels.push(await space(`${i}`))
      await add(levels[i - 1] ?? '', levels[i] ?? '')
    }
    const upTo20 = Array.from({ length: 21 }, (_, i) => `${i}`)
    expect(await names(bob, levels[0] ?? '')).toEqual(upTo20)
    expect(await names(bob, levels[0] ?? '', { max_depth: 1_000_000 })).toEqual(upTo20)
  })

  it('shows the rooms that a user is in, may join, may ask to join or may read, and no others', async () => {
    const carol = await server.register('carol')
    const club = await room('club', { preset: 'private_chat' })
    const top = await space('top')
    const made: Record<string, string> = {
      public: await room('public'),
      invited: await room('invited', { preset: 'private_chat', invite: [carol.userId] }),
      joined: await room('joined', { preset: 'private_chat', invite: [carol.userId] }),
      knock: await room('knock', { initial_state: [joinRule('knock')] }),
      'knock or be a member': await room('knock or be a member', {
        initial_state: [joinRule('knock_restricted', club)],
      }),
      'for members': await room('for members', { initial_state: [joinRule('restricted', club)] }),
      readable: await room('readable', {
        preset: 'private_chat',
        initial_state: [{ type: 'm.room.history_visibility', content: { history_visibility: 'world_readable' } }],
      }),
      private: await room('private', { preset: 'private_chat' }),
      'knock before knocking': await room('knock before knocking', {
        preset: 'private_chat',
        room_version: '6',
        initial_state: [joinRule('knock')],
      }),
      banned: await room('banned'),
      'closed space': await space('closed space', { preset: 'private_chat' }),
    }
    await join(carol, made.joined ?? '')
    await act(alice, 'ban', made.banned ?? '', carol)
    await add(made['closed space'] ?? '', await room('behind a closed space'))
    for (const roomId of Object.values(made)) await add(top, roomId)
    await add(top, '!none:hearth.test')
    const open = ['top', 'public', 'invited', 'joined', 'knock', 'knock or be a member', 'readable']
    expect(await names(carol, top)).toEqual(open)
    await act(alice, 'invite', club, carol)
    expect(await names(carol, top)).toEqual(open)
    await join(carol, club)
    expect(await names(carol, top)).toEqual([...open.slice(0, 6), 'for members', 'readable'])
    const restricted = (await hierarchy(carol, top)).body.rooms.find(({ name }) => name === 'for members')
    expect(restricted).toMatchObject({ join_rule: 'restricted', allowed_room_ids: [club] })
    await leave(carol, club)
    expect(await names(carol, top)).toEqual(open)
    for (const name of ['private', 'banned', 'closed space']) {
      expect(await hierarchy(carol, made[name] ?? '')).toMatchObject(forbidden)
    }
    expect(await hierarchy(carol, '!none:hearth.test')).toMatchObject(forbidden)
  })
})

describe('client-server-api §GET /room_summary/{roomIdOrAlias}', () => {
  it('tells what a room is, by its ID or alias, and what the user is in it', async () => {
    const roomId = await room('N', {
      topic: 'T',
      room_alias_name: 'summary',
      creation_content: { type: 'm.space' },
      initial_state: [
        { type: 'm.room.encryption', content: { algorithm: 'm.megolm.v1.aes-sha2' } },
        { type: 'm.room.avatar', content: { url: 'mxc://hearth.test/avatar' } },
      ],
    })
    const expected = {
      room_id: roomId,
      name: 'N',
      topic: 'T',
      canonical_alias: '#summary:hearth.test',
      avatar_url: 'mxc://hearth.test/avatar',
      room_type: 'm.space',
      join_rule: 'public',
      num_joined_members: 1,
      world_readable: false,
      guest_can_join: false,
      encryption: 'm.megolm.v1.aes-sha2',
      room_version: '12',
      membership: 'leave',
    }
    for (const name of [roomId, '#summary:hearth.test']) {
      const { status, body } = await summary(bob, name)
      expect([status, faultsOfReply('getRoomSummary', body)]).toEqual([200, []])
      expect(body).toMatchObject(expected)
    }
    expect((await summary(alice, roomId)).body.membership).toBe('join')
    for (const path of [`summary/${e(roomId)}`, `rooms/${e('#summary:hearth.test')}/summary`]) {
      const { body } = await bob.api.get(`/_matrix/client/unstable/im.nheko.summary/${path}`)
      expect(body).toMatchObject({ ...expected, 'im.nheko.summary.room_version': '12' })
    }
  })

  it('does not divulge rooms that the user could not join, knows them when invited or asking', async () => {
    const hidden = await room('hidden', { preset: 'private_chat' })
    expect(await summary(bob, hidden)).toMatchObject(notFound)
    expect(await summary(bob, '!none:hearth.test')).toMatchObject(notFound)
    expect(await summary(bob, '#none:hearth.test')).toMatchObject(notFound)
    expect(await server.api().get(`/_matrix/client/v1/room_summary/${e(hidden)}`)).toMatchObject({ status: 401 })
    await act(alice, 'invite', hidden, bob)
    expect((await summary(bob, hidden)).body).toMatchObject({ name: 'hidden', membership: 'invite' })
    const open = await room('open', { initial_state: [joinRule('knock')] })
    await knock(bob, open)
    expect((await summary(bob, open)).body).toMatchObject({ membership: 'knock', join_rule: 'knock' })
    await act(alice, 'ban', hidden, bob)
    expect(await summary(bob, hidden)).toMatchObject(notFound)
  })
})
