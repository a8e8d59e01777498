import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { allState, getState, history, join, newRoom } from '../../support/room-calls.ts'
import { type Person, startTestServer, type TestServer } from '../../support/test-server.ts'

let server: TestServer
let alice: Person
let bob: Person
let carol: Person
beforeAll(async () => {
  server = await startTestServer()
  alice = await server.register('alice')
  bob = await server.register('bob')
  carol = await server.register('carol')
})
afterAll(() => server[Symbol.asyncDispose]())

const create = (body: unknown, by = alice) =>
  by.api.post<{ room_id: string; errcode: string; error: string }>('/_matrix/client/v3/createRoom', body)

const VERSIONS = Array.from({ length: 12 }, (_, i) => String(i + 1))
const PRESETS = {
  private_chat: { join_rule: 'invite', history_visibility: 'shared', guest_access: 'can_join' },
  trusted_private_chat: { join_rule: 'invite', history_visibility: 'shared', guest_access: 'can_join' },
  public_chat: { join_rule: 'public', history_visibility: 'shared', guest_access: 'forbidden' },
}
const ROWS = VERSIONS.flatMap((version) =>
  Object.entries(PRESETS).map(([preset, state]) => ({ version, preset, ...state })),
)

describe('client-server-api §POST /createRoom', () => {
  it.each(ROWS)('makes a $preset of version $version with the state that the preset implies, in order', async (row) => {
    const { version, preset, join_rule, history_visibility, guest_access } = row
    const roomId = await newRoom(alice, { preset, room_version: version, name: 'N', topic: 'T', invite: [bob.userId] })
    const events = await history(alice, roomId)
    expect(events.map(({ type }) => type)).toEqual([
      'm.room.create',
      'm.room.member',
      'm.room.power_levels',
      'm.room.join_rules',
      'm.room.history_visibility',
      'm.room.guest_access',
      'm.room.name',
      'm.room.topic',
      'm.room.member',
    ])
    const content = (type: string, key = '') =>
      events.find((event) => event.type === type && event.state_key === key)?.content
    const isV12 = version === '12'
    expect(content('m.room.create')).toEqual({
      room_version: version,
      ...(Number(version) < 11 && { creator: alice.userId }),
      ...(isV12 && preset === 'trusted_private_chat' && { additional_creators: [bob.userId] }),
    })
    expect(content('m.room.join_rules')).toEqual({ join_rule })
    expect(content('m.room.history_visibility')).toEqual({ history_visibility })
    expect(content('m.room.guest_access')).toEqual({ guest_access })
    expect(content('m.room.name')).toEqual({ name: 'N' })
    expect(content('m.room.topic')).toEqual({
      topic: 'T',
      'm.topic': { 'm.text': [{ body: 'T', mimetype: 'text/plain' }] },
    })
    expect(content('m.room.member', bob.userId)).toMatchObject({ membership: 'invite' })
    const trusts = preset === 'trusted_private_chat'
    const levels = content('m.room.power_levels') as { users: unknown; events: Record<string, number> }
    expect(levels.users).toEqual(isV12 ? {} : { [alice.userId]: 100, ...(trusts && { [bob.userId]: 100 }) })
    expect(levels.events['m.room.tombstone']).toBe(isV12 ? 150 : 100)
    expect(roomId).toMatch(isV12 ? /^![\w-]{43}$/ : /^![\w-]+:hearth\.test$/)
    if (isV12) expect(events[0]?.event_id).toBe(`$${roomId.slice(1)}`)
    for (const event of events) expect(event.room_id).toBe(roomId)
    expect(await join(bob, roomId)).toMatchObject({ status: 200, body: { room_id: roomId } })
  })

  it('applies what a request asks for in the order of the specification, the later over the earlier', async () => {
    const roomId = await newRoom(alice, {
      room_alias_name: 'in-order',
      initial_state: [
        { type: 'org.example.second', content: {} },
        { type: 'org.example.first', content: {} },
        { type: 'm.room.encryption', content: { algorithm: 'm.megolm.v1.aes-sha2' } },
      ],
      name: 'N',
      topic: 'T',
      invite: [carol.userId, bob.userId],
    })
    expect((await history(alice, roomId)).map(({ type, state_key }) => state_key || type)).toEqual([
      'm.room.create',
      alice.userId,
      'm.room.power_levels',
      'm.room.canonical_alias',
      'm.room.join_rules',
      'm.room.history_visibility',
      'm.room.guest_access',
      'org.example.second',
      'org.example.first',
      'm.room.encryption',
      'm.room.name',
      'm.room.topic',
      carol.userId,
      bob.userId,
    ])
  })

  it('takes the preset from the visibility', async () => {
    const open = await newRoom(alice, { visibility: 'public' })
    expect((await getState(alice, open, 'm.room.join_rules')).body).toEqual({ join_rule: 'public' })
    const closed = await newRoom(alice, { visibility: 'private' })
    expect((await getState(alice, closed, 'm.room.join_rules')).body).toEqual({ join_rule: 'invite' })
    const path = (roomId: string) => `/_matrix/client/v3/directory/list/room/${encodeURIComponent(roomId)}`
    expect((await server.api().get(path(open))).body).toEqual({ visibility: 'public' })
    expect((await server.api().get(path(closed))).body).toEqual({ visibility: 'private' })
  })

  it('makes the default version where none is named, and refuses one that it does not know', async () => {
    const roomId = await newRoom(alice)
    expect((await getState(alice, roomId, 'm.room.create')).body.room_version).toBe('12')
    expect(await create({ room_version: 'org.example.none' })).toMatchObject({
      status: 400,
      body: { errcode: 'M_UNSUPPORTED_ROOM_VERSION' },
    })
  })

  it('makes two rooms of two requests that say the same', async () => {
    const ids = await Promise.all(Array.from({ length: 8 }, () => newRoom(alice, { room_version: '12' })))
    expect(new Set(ids).size).toBe(8)
  })

  it('lets initial_state override the preset, and name and topic override initial_state', async () => {
    const roomId = await newRoom(alice, {
      preset: 'private_chat',
      name: 'wins',
      initial_state: [
        { type: 'm.room.join_rules', content: { join_rule: 'public' } },
        { type: 'm.room.name', state_key: '', content: { name: 'loses' } },
        { type: 'm.room.encryption', state_key: '', content: { algorithm: 'm.megolm.v1.aes-sha2' } },
        { type: 'org.example.thing', state_key: 'key', content: { deep: { a: [1] } } },
      ],
    })
    expect((await getState(alice, roomId, 'm.room.join_rules')).body).toEqual({ join_rule: 'public' })
    expect((await getState(alice, roomId, 'm.room.name')).body).toEqual({ name: 'wins' })
    expect((await getState(alice, roomId, 'org.example.thing', 'key')).body).toEqual({ deep: { a: [1] } })
    expect((await allState(alice, roomId)).map(({ type }) => type)).toContain('m.room.encryption')
  })

  it('lays power_level_content_override over the levels that it makes', async () => {
    const roomId = await newRoom(alice, {
      room_version: '12',
      power_level_content_override: { events_default: 7, events: { 'm.room.topic': 1 } },
    })
    const { body } = await getState(alice, roomId, 'm.room.power_levels')
    expect(body).toMatchObject({ events_default: 7, state_default: 50, users: {} })
    expect(body.events).toEqual({ 'm.room.topic': 1, 'm.room.tombstone': 150 })
  })

  it.each([
    [{ state_default: 200 }, 201],
    [{ state_default: 200, events: {} }, 201],
    [{ state_default: 200, events: { 'm.room.tombstone': 7 } }, 7],
    [{ state_default: 100 }, 150],
  ])(
    'wants more for a tombstone in version 12 than for other state, unless it is named: %j',
    async (override, level) => {
      const wish = { room_version: '12', power_level_content_override: override }
      const { body } = await getState(alice, await newRoom(alice, wish), 'm.room.power_levels')
      expect(body.events).toMatchObject({ 'm.room.tombstone': level })
    },
  )

  it('carries creation_content over, but not what is the server’s to say', async () => {
    const roomId = await newRoom(alice, {
      room_version: '10',
      creation_content: { 'm.federate': false, type: 'm.space', creator: '@other:x', room_version: '1', extra: 1 },
    })
    expect((await getState(alice, roomId, 'm.room.create')).body).toEqual({
      'm.federate': false,
      type: 'm.space',
      extra: 1,
      creator: alice.userId,
      room_version: '10',
    })
  })

  it('gives additional creators of version 12 the power of the creator', async () => {
    const roomId = await newRoom(alice, {
      room_version: '12',
      preset: 'trusted_private_chat',
      creation_content: { additional_creators: [carol.userId] },
      invite: [bob.userId, carol.userId],
    })
    const { body } = await getState(alice, roomId, 'm.room.create')
    expect(body.additional_creators).toEqual([carol.userId, bob.userId])
    await join(bob, roomId)
    expect(
      await bob.api.put(`/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}/state/m.room.tombstone/`, {
        replacement_room: '!x',
        body: 'gone',
      }),
    ).toMatchObject({ status: 200 })
  })

  it('marks invites of direct chats', async () => {
    const roomId = await newRoom(alice, { is_direct: true, invite: [bob.userId] })
    expect((await getState(alice, roomId, 'm.room.member', bob.userId)).body.is_direct).toBe(true)
    expect((await getState(alice, roomId, 'm.room.member', alice.userId)).body.is_direct).toBeUndefined()
  })

  it('makes the alias with the room, and makes no room where the alias is taken', async () => {
    const roomId = await newRoom(alice, { room_alias_name: 'tavern' })
    expect((await getState(alice, roomId, 'm.room.canonical_alias')).body).toEqual({ alias: '#tavern:hearth.test' })
    const path = `/_matrix/client/v3/directory/room/${encodeURIComponent('#tavern:hearth.test')}`
    expect((await server.api().get(path)).body).toEqual({ room_id: roomId, servers: ['hearth.test'] })
    const before = (await bob.api.get('/_matrix/client/v3/joined_rooms')).body
    expect(await create({ room_alias_name: 'tavern' }, bob)).toMatchObject({
      status: 400,
      body: { errcode: 'M_ROOM_IN_USE' },
    })
    expect((await bob.api.get('/_matrix/client/v3/joined_rooms')).body).toEqual(before)
  })

  it('gives an alias that two ask for at once to one of them', async () => {
    const replies = await Promise.all([alice, bob, carol].map((by) => create({ room_alias_name: 'race' }, by)))
    expect(replies.map(({ status }) => status).sort()).toEqual([200, 400, 400])
  })

  it.each([
    ['a level that is no integer', { power_level_content_override: { ban: 'x' } }, 400, 'M_BAD_JSON'],
    [
      'a creator among the levels of version 12',
      { room_version: '12', power_level_content_override: { users: { '@alice:hearth.test': 100 } } },
      400,
      'M_INVALID_ROOM_STATE',
    ],
    [
      'levels that forbid the creator the rest',
      { room_version: '11', power_level_content_override: { users: { '@alice:hearth.test': 0 } }, name: 'x' },
      400,
      'M_INVALID_ROOM_STATE',
    ],
    [
      'a create event in initial_state',
      { initial_state: [{ type: 'm.room.create', content: {} }] },
      400,
      'M_INVALID_ROOM_STATE',
    ],
    [
      'a member in initial_state',
      { initial_state: [{ type: 'm.room.member', state_key: '@bob:hearth.test', content: { membership: 'join' } }] },
      400,
      'M_INVALID_ROOM_STATE',
    ],
    ['state without content', { initial_state: [{ type: 'm.room.name' }] }, 400, 'M_BAD_JSON'],
    ['an alias with white space', { room_alias_name: 'a b' }, 400, 'M_INVALID_PARAM'],
    ['an alias with a colon', { room_alias_name: 'a:b' }, 400, 'M_INVALID_PARAM'],
    ['an invitee who does not exist', { invite: ['@nobody:hearth.test'] }, 404, 'M_NOT_FOUND'],
    [
      'a third-party invite',
      { invite_3pid: [{ id_server: 'id.test', id_access_token: 't', medium: 'email', address: 'a@b.c' }] },
      403,
      'M_THREEPID_DENIED',
    ],
    ['an unknown preset', { preset: 'loud_chat' }, 400, 'M_BAD_JSON'],
    [
      'creators that are no user IDs',
      { room_version: '12', creation_content: { additional_creators: ['bob'] } },
      400,
      'M_BAD_JSON',
    ],
    [
      'invitees without end',
      { invite: Array.from({ length: 300 }, (_, i) => `@u${i}:hearth.test`) },
      400,
      'M_INVALID_PARAM',
    ],
    ['a name beyond the size of events', { name: 'x'.repeat(70_000) }, 413, 'M_TOO_LARGE'],
  ])('refuses %s and makes nothing', async (_, body, status, errcode) => {
    const before = (await alice.api.get('/_matrix/client/v3/joined_rooms')).body
    expect(await create(body)).toMatchObject({ status, body: { errcode } })
    expect((await alice.api.get('/_matrix/client/v3/joined_rooms')).body).toEqual(before)
  })

  it('refuses to invite who blocks invites, with M_INVITE_BLOCKED', async () => {
    const dave = await server.register('dave')
    const path = `/_matrix/client/v3/user/${encodeURIComponent(dave.userId)}/account_data/m.invite_permission_config`
    await dave.api.put(path, { default_action: 'block' })
    expect(await create({ invite: [dave.userId] })).toMatchObject({
      status: 403,
      body: { errcode: 'M_INVITE_BLOCKED' },
    })
    await dave.api.put(path, {})
    expect(await create({ invite: [dave.userId] })).toMatchObject({ status: 200 })
  })
})
