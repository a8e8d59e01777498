import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { keptStore } from '../../support/kept-store.ts'
import { act, allState, getState, join, newRoom, roomPath, send, setState } from '../../support/room-calls.ts'
import { type Person, startTestServer, type TestServer } from '../../support/test-server.ts'

let server: TestServer
let alice: Person
let bob: Person
let carol: Person
const openStore = keptStore()
beforeAll(async () => {
  server = await startTestServer({ openStore })
  alice = await server.register('alice')
  bob = await server.register('bob')
  carol = await server.register('carol')
})
afterAll(() => server[Symbol.asyncDispose]())

const e = encodeURIComponent
const upgrade = (by: Person, roomId: string, body: Record<string, unknown>) =>
  by.api.post<{ replacement_room: string; errcode: string }>(roomPath(roomId, '/upgrade'), body)
async function upgraded(by: Person, roomId: string, body: Record<string, unknown>): Promise<string> {
  const reply = await upgrade(by, roomId, body)
  expect(reply.status).toBe(200)
  return reply.body.replacement_room
}
const dataPath = (person: Person, roomId: string | null, type: string) =>
  `/_matrix/client/v3/user/${e(person.userId)}/${roomId === null ? '' : `rooms/${e(roomId)}/`}account_data/${type}`

const ROWS = [
  { from: '1', to: '10' },
  { from: '6', to: '11' },
  { from: '11', to: '12' },
  { from: '12', to: '12' },
  { from: '12', to: '11' },
]

describe('client-server-api §Room Upgrades', () => {
  it.each(ROWS)('replaces a room of version $from by one of version $to with all that it was', async ({ from, to }) => {
    const roomId = await newRoom(alice, {
      preset: 'public_chat',
      room_version: from,
      name: 'Kitchen',
      topic: 'Who cooks',
      creation_content: { type: 'm.space', 'm.federate': false },
      initial_state: [
        { type: 'm.room.avatar', content: { url: 'mxc://hearth.test/a' } },
        { type: 'm.room.encryption', content: { algorithm: 'm.megolm.v1.aes-sha2' } },
        { type: 'm.room.server_acl', content: { allow: ['*'], deny: ['evil.test'] } },
        { type: 'm.room.guest_access', content: { guest_access: 'can_join' } },
        { type: 'm.room.history_visibility', content: { history_visibility: 'joined' } },
        { type: 'm.space.child', state_key: '!child:hearth.test', content: { via: ['hearth.test'] } },
        { type: 'm.space.child', state_key: '!gone:hearth.test', content: {} },
        { type: 'm.space.parent', state_key: '!parent:hearth.test', content: { via: ['hearth.test'] } },
        { type: 'org.example.bot', content: { sensitive: 'to its sender' } },
      ],
    })
    await join(bob, roomId)
    await act(alice, 'ban', roomId, carol, 'spam')
    const { body: levels } = await getState(alice, roomId, 'm.room.power_levels')
    const users = { ...(levels.users as object), [bob.userId]: 50 }
    await setState(alice, roomId, 'm.room.power_levels', { ...levels, users, invite: 30 })
    await send(alice, roomId, 'last words')

    const newId = await upgraded(alice, roomId, { new_version: to })
    const state = await allState(alice, newId)
    const content = (type: string, key = '') =>
      state.find((event) => event.type === type && event.state_key === key)?.content

    const old = await allState(alice, roomId)
    const tombstone = old.find(({ type }) => type === 'm.room.tombstone')
    expect(tombstone?.content).toEqual({ body: expect.any(String), replacement_room: newId })
    expect(content('m.room.create')).toEqual({
      room_version: to,
      type: 'm.space',
      'm.federate': false,
      ...(Number(to) < 11 && { creator: alice.userId }),
      predecessor: {
        room_id: roomId,
        event_id: to === '12' ? expect.stringMatching(/^\$/) : tombstone?.event_id,
      },
    })
    for (const type of [
      'm.room.name',
      'm.room.topic',
      'm.room.avatar',
      'm.room.encryption',
      'm.room.server_acl',
      'm.room.guest_access',
      'm.room.history_visibility',
      'm.room.join_rules',
    ]) {
      expect(content(type)).toEqual(old.find((event) => event.type === type)?.content)
    }
    expect(content('m.space.child', '!child:hearth.test')).toEqual({ via: ['hearth.test'] })
    expect(content('m.space.child', '!gone:hearth.test')).toBeUndefined()
    expect(content('m.space.parent', '!parent:hearth.test')).toEqual({ via: ['hearth.test'] })
    expect(content('org.example.bot')).toBeUndefined()
    expect(content('m.room.member', carol.userId)).toMatchObject({ membership: 'ban', reason: 'spam' })
    expect(content('m.room.member', bob.userId)).toBeUndefined()

    const carried = content('m.room.power_levels') as { users: object; events: Record<string, number> }
    expect(carried).toMatchObject({ invite: 30, users_default: 0, events_default: 0 })
    const creatorLevel = { 12: undefined, 11: from === '12' ? 150 : 100, 10: 100 }[to]
    expect(carried.users).toEqual({
      [bob.userId]: 50,
      ...(creatorLevel !== undefined && { [alice.userId]: creatorLevel }),
    })
    if (to === '12') expect(carried.events['m.room.tombstone']).toBe(150)

    const silenced = old.find(({ type }) => type === 'm.room.power_levels')?.content
    expect(silenced).toMatchObject({ events_default: 50, invite: 50 })
    expect((await join(bob, newId)).status).toBe(200)
  })

  it('carries all over for whoever may upgrade, and leaves them the power that they had', async () => {
    const roomId = await newRoom(alice, { preset: 'public_chat', room_version: '11', name: 'Shared' })
    await join(bob, roomId)
    const { body: levels } = await getState(alice, roomId, 'm.room.power_levels')
    const events = { ...(levels.events as object), 'm.room.tombstone': 0 }
    await setState(alice, roomId, 'm.room.power_levels', { ...levels, events })
    const newId = await upgraded(bob, roomId, { new_version: '10' })
    expect((await getState(bob, newId, 'm.room.name')).body).toEqual({ name: 'Shared' })
    const { body: carried } = await getState(bob, newId, 'm.room.power_levels')
    expect(carried.users).toEqual({ [alice.userId]: 100 })
    expect((await setState(bob, newId, 'm.room.name', { name: 'Mine' })).status).toBe(403)
    // Bob may not change the old room's levels; it is replaced all the same.
    expect((await getState(bob, roomId, 'm.room.tombstone')).body.replacement_room).toBe(newId)
  })

  it('lets in the invited where the new version does not know the join rule', async () => {
    const join_rules = { join_rule: 'restricted', allow: [{ type: 'm.room_membership', room_id: '!x:hearth.test' }] }
    const roomId = await newRoom(alice, {
      room_version: '8',
      initial_state: [{ type: 'm.room.join_rules', content: join_rules }],
    })
    const newer = await upgraded(alice, roomId, { new_version: '12' })
    expect((await getState(alice, newer, 'm.room.join_rules')).body).toEqual(join_rules)
    const older = await upgraded(alice, newer, { new_version: '7' })
    expect((await getState(alice, older, 'm.room.join_rules')).body).toEqual({ join_rule: 'invite' })
  })

  it('moves aliases and the listing in the directory', async () => {
    const roomId = await newRoom(alice, { visibility: 'public', room_alias_name: 'old', room_version: '11' })
    await alice.api.put(`/_matrix/client/v3/directory/room/${e('#second:hearth.test')}`, { room_id: roomId })
    const newId = await upgraded(alice, roomId, { new_version: '12' })
    for (const alias of ['#old:hearth.test', '#second:hearth.test']) {
      const { body } = await server.api().get(`/_matrix/client/v3/directory/room/${e(alias)}`)
      expect(body.room_id).toBe(newId)
    }
    expect((await getState(alice, newId, 'm.room.canonical_alias')).body).toEqual({ alias: '#old:hearth.test' })
    expect((await getState(alice, roomId, 'm.room.canonical_alias')).body).toEqual({})
    const { body } = await server.api().get<{ chunk: { room_id: string }[] }>('/_matrix/client/v3/publicRooms')
    const listed = body.chunk.map(({ room_id }) => room_id)
    expect(listed).toContain(newId)
    expect(listed).not.toContain(roomId)
  })

  it('gives a room of version 12 the additional creators that the request names, and no others', async () => {
    const roomId = await newRoom(alice, {
      room_version: '12',
      creation_content: { additional_creators: [carol.userId] },
    })
    const newId = await upgraded(alice, roomId, { new_version: '12', additional_creators: [bob.userId] })
    expect((await getState(alice, newId, 'm.room.create')).body.additional_creators).toEqual([bob.userId])
    const older = await upgraded(alice, newId, { new_version: '11', additional_creators: ['not looked at'] })
    const { body: levels } = await getState(alice, older, 'm.room.power_levels')
    expect(levels.users).toEqual({ [alice.userId]: 150, [bob.userId]: 150 })
    expect(await upgrade(alice, roomId, { new_version: '12', additional_creators: ['bob'] })).toMatchObject({
      status: 400,
      body: { errcode: 'M_BAD_JSON' },
    })
  })

  it('gives whoever joins the new room their tags, direct chats and push rules of the old one', async () => {
    const roomId = await newRoom(alice, { invite: [bob.userId], is_direct: true, preset: 'public_chat' })
    await join(bob, roomId)
    const tag = (room: string) => `/_matrix/client/v3/user/${e(bob.userId)}/rooms/${e(room)}/tags`
    await bob.api.put(`${tag(roomId)}/m.favourite`, { order: 0.5 })
    await bob.api.put(dataPath(bob, null, 'm.direct'), { [alice.userId]: [roomId] })
    await bob.api.put(`/_matrix/client/v3/pushrules/global/room/${e(roomId)}`, { actions: [] })
    await bob.api.put(`/_matrix/client/v3/pushrules/global/override/${e(roomId)}`, {
      actions: [],
      conditions: [{ kind: 'event_match', key: 'room_id', pattern: roomId }],
    })
    const newId = await upgraded(alice, roomId, { new_version: '12' })
    await join(bob, newId)
    expect((await bob.api.get(tag(newId))).body).toEqual({ tags: { 'm.favourite': { order: 0.5 } } })
    expect((await bob.api.get(dataPath(bob, null, 'm.direct'))).body).toEqual({ [alice.userId]: [roomId, newId] })
    const rule = (kind: string) => bob.api.get(`/_matrix/client/v3/pushrules/global/${kind}/${e(newId)}`)
    expect((await rule('room')).body).toMatchObject({ rule_id: newId, actions: [] })
    expect((await rule('override')).body).toMatchObject({
      conditions: [{ kind: 'event_match', key: 'room_id', pattern: newId }],
    })
  })

  it('gives whoever upgrades the room theirs as well', async () => {
    const roomId = await newRoom(alice, {})
    const tags = (room: string) => `/_matrix/client/v3/user/${e(alice.userId)}/rooms/${e(room)}/tags`
    await alice.api.put(`${tags(roomId)}/u.mine`, {})
    await alice.api.put(`/_matrix/client/v3/pushrules/global/room/${e(roomId)}`, { actions: [] })
    const newId = await upgraded(alice, roomId, { new_version: '12' })
    expect((await alice.api.get(tags(newId))).body).toEqual({ tags: { 'u.mine': {} } })
    expect(await alice.api.get(`/_matrix/client/v3/pushrules/global/room/${e(newId)}`)).toMatchObject({ status: 200 })
  })

  it('takes nothing over into a room that only claims to be a replacement', async () => {
    const roomId = await newRoom(bob, {})
    await bob.api.put(`/_matrix/client/v3/user/${e(bob.userId)}/rooms/${e(roomId)}/tags/m.favourite`, {})
    const trap = await newRoom(alice, {
      preset: 'public_chat',
      creation_content: { predecessor: { room_id: roomId, event_id: '$x' } },
    })
    await join(bob, trap)
    expect((await bob.api.get(`/_matrix/client/v3/user/${e(bob.userId)}/rooms/${e(trap)}/tags`)).body).toEqual({
      tags: {},
    })
  })

  it('refuses those without the power, strangers, and unknown versions, and leaves the room as it was', async () => {
    const roomId = await newRoom(alice, { preset: 'public_chat' })
    await join(bob, roomId)
    expect(await upgrade(bob, roomId, { new_version: '12' })).toMatchObject({
      status: 403,
      body: { errcode: 'M_FORBIDDEN' },
    })
    expect(await upgrade(carol, roomId, { new_version: '12' })).toMatchObject({ status: 403 })
    expect(await upgrade(alice, roomId, { new_version: 'hearth.1' })).toMatchObject({
      status: 400,
      body: { errcode: 'M_UNSUPPORTED_ROOM_VERSION' },
    })
    expect(await upgrade(alice, '!unknown:hearth.test', { new_version: '12' })).toMatchObject({ status: 403 })
    expect((await getState(alice, roomId, 'm.room.tombstone')).status).toBe(404)
  })

  it('gives a repeated request the room that the first one made', async () => {
    const roomId = await newRoom(alice, {})
    const both = await Promise.all([1, 2].map(() => upgraded(alice, roomId, { new_version: '12' })))
    expect(new Set(both).size).toBe(1)
  })

  it('is as it was after a restart', async () => {
    const roomId = await newRoom(alice, { visibility: 'public', room_alias_name: 'lasting' })
    const newId = await upgraded(alice, roomId, { new_version: '12' })
    await server[Symbol.asyncDispose]()
    server = await startTestServer({ openStore })
    const api = server.api(alice.accessToken)
    const { body } = await server.api().get(`/_matrix/client/v3/directory/room/${e('#lasting:hearth.test')}`)
    expect(body.room_id).toBe(newId)
    expect((await api.get(`/_matrix/client/v3/directory/list/room/${e(roomId)}`)).body).toEqual({
      visibility: 'private',
    })
    alice = { ...alice, api }
    expect((await getState(alice, roomId, 'm.room.tombstone')).body.replacement_room).toBe(newId)
  })
})
