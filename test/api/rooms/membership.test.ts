import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { signJson } from '../../../server/protocol/signing.ts'
import { makeSigningKey } from '../../../server/protocol/signing-key.ts'
import {
  act,
  allState,
  forget,
  getState,
  history,
  join,
  knock,
  leave,
  membershipOf,
  newRoom,
  roomPath,
  send,
  setState,
} from '../../support/room-calls.ts'
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

const JOIN = '/_matrix/client/v3/join'
const forbidden = { status: 403, body: { errcode: 'M_FORBIDDEN' } }
const done = { status: 200, body: {} }
const joinedRooms = async (person: Person) =>
  (await person.api.get<{ joined_rooms: readonly string[] }>('/_matrix/client/v3/joined_rooms')).body.joined_rooms

describe('client-server-api §Joining rooms', () => {
  it('lets in who was invited, and shows their name and picture', async () => {
    const profile = `/_matrix/client/v3/profile/${encodeURIComponent(bob.userId)}`
    await bob.api.put(`${profile}/displayname`, { displayname: 'Bob' })
    await bob.api.put(`${profile}/avatar_url`, { avatar_url: 'mxc://hearth.test/bob' })
    const roomId = await newRoom(alice)
    expect(await join(bob, roomId)).toMatchObject(forbidden)
    expect(await act(alice, 'invite', roomId, bob, 'come')).toMatchObject(done)
    expect((await getState(alice, roomId, 'm.room.member', bob.userId)).body).toEqual({
      membership: 'invite',
      displayname: 'Bob',
      avatar_url: 'mxc://hearth.test/bob',
      reason: 'come',
    })
    expect(await join(bob, roomId, { reason: 'hello' })).toMatchObject({ status: 200, body: { room_id: roomId } })
    expect((await getState(alice, roomId, 'm.room.member', bob.userId)).body).toEqual({
      membership: 'join',
      displayname: 'Bob',
      avatar_url: 'mxc://hearth.test/bob',
      reason: 'hello',
    })
    expect(await joinedRooms(bob)).toContain(roomId)
  })

  it('joins by alias and by ID, with no body at all, and twice with no further event', async () => {
    const roomId = await newRoom(alice, { preset: 'public_chat', room_alias_name: 'open' })
    expect(await join(bob, '#open:hearth.test')).toMatchObject({ status: 200, body: { room_id: roomId } })
    const events = (await history(alice, roomId)).length
    const again = await bob.api.fetch(roomPath(roomId, '/join'), { method: 'POST' })
    expect([again.status, await again.json()]).toEqual([200, { room_id: roomId }])
    expect(await history(alice, roomId)).toHaveLength(events)
  })

  it('answers 404 for what leads nowhere', async () => {
    expect(await join(bob, '#nowhere:hearth.test')).toMatchObject({ status: 404, body: { errcode: 'M_NOT_FOUND' } })
    expect(await join(bob, '!nowhere:hearth.test')).toMatchObject({ status: 404, body: { errcode: 'M_NOT_FOUND' } })
    expect(await join(bob, 'nonsense')).toMatchObject({ status: 400, body: { errcode: 'M_INVALID_PARAM' } })
  })

  it('keeps out who is banned', async () => {
    const roomId = await newRoom(alice, { preset: 'public_chat' })
    await act(alice, 'ban', roomId, bob)
    expect(await join(bob, roomId)).toMatchObject(forbidden)
  })
})

describe('client-server-api §Joining rooms, with third_party_signed', () => {
  const key = makeSigningKey(Buffer.alloc(32, 9), '1')
  const asked: (string | undefined)[] = []
  let answer: unknown = { valid: true }
  const identityServer = createServer((request, response) => {
    asked.push(request.url)
    response.end(JSON.stringify(answer))
  })
  let validity = ''
  beforeAll(async () => {
    await once(identityServer.listen(0, '127.0.0.1'), 'listening')
    validity = `http://127.0.0.1:${(identityServer.address() as AddressInfo).port}/isvalid?of=ids`
  })
  afterAll(() => {
    identityServer.closeAllConnections()
    identityServer.close()
  })

  const roomWith = async (offer: object): Promise<string> => {
    const roomId = await newRoom(alice)
    await setState(alice, roomId, 'm.room.third_party_invite', { display_name: 'bob@…', ...offer }, 'token')
    return roomId
  }
  const said = (change: Record<string, string> = {}, by = key) =>
    signJson({ mxid: bob.userId, sender: alice.userId, token: 'token', ...change }, 'id.test', by)
  const paths = [
    (roomId: string) => roomPath(roomId, '/join'),
    (roomId: string) => `${JOIN}/${encodeURIComponent(roomId)}`,
  ]

  it.each(paths)('lets in whose address was invited, when a key of the invite says so', async (path) => {
    const roomId = await roomWith({ public_key: key.publicKey, key_validity_url: validity })
    answer = { valid: true }
    expect(await bob.api.post(path(roomId), { third_party_signed: said() })).toMatchObject({
      status: 200,
      body: { room_id: roomId },
    })
    expect(asked.at(-1)).toBe(`/isvalid?${new URLSearchParams({ of: 'ids', public_key: key.publicKey })}`)
    const invite = (await history(alice, roomId)).find(({ content }) => content.third_party_invite !== undefined)
    expect(invite).toMatchObject({ sender: alice.userId, state_key: bob.userId, content: { membership: 'invite' } })
  })

  it.each(paths)(
    'refuses what another key has signed, what is not the user’s, and what nobody has invited',
    async (path) => {
      const roomId = await roomWith({ public_keys: [{ public_key: key.publicKey }] })
      const forged = makeSigningKey(Buffer.alloc(32, 8), '1')
      for (const claim of [
        said({}, forged),
        { ...said(), token: 'other' },
        { ...said(), sender: carol.userId },
        said({ token: 'other' }),
        said({ sender: carol.userId }),
        said({ mxid: carol.userId }),
      ]) {
        expect(await bob.api.post(path(roomId), { third_party_signed: claim })).toMatchObject(forbidden)
      }
      expect((await getState(alice, roomId, 'm.room.member', bob.userId)).status).toBe(404)
      expect(await bob.api.post(path(roomId), { third_party_signed: said() })).toMatchObject({ status: 200 })
    },
  )

  it.each([{ valid: false }, {}, null, { valid: 'true' }])('refuses a key of which it is said: %j', async (says) => {
    const url = { public_key: key.publicKey, key_validity_url: validity }
    const roomId = await roomWith({ ...url, public_keys: [url] })
    answer = says
    expect(await join(bob, roomId, { third_party_signed: said() })).toMatchObject(forbidden)
  })

  it.each(['http://127.0.0.1:9/isvalid', 'http://10.0.0.1/isvalid', 'file:///etc/passwd', 'nonsense', 5])(
    'refuses a key that %j says nothing about',
    async (key_validity_url) => {
      const roomId = await roomWith({ public_key: key.publicKey, key_validity_url })
      expect(await join(bob, roomId, { third_party_signed: said() })).toMatchObject(forbidden)
      expect(server.complaints).toEqual([])
    },
  )
})

describe('client-server-api §Restricted rooms', () => {
  it.each(['8', '9', '10', '11', '12'])(
    'lets in members of an allowed room, vouched for by us (version %s)',
    async (version) => {
      const space = await newRoom(alice, { preset: 'public_chat' })
      const roomId = await newRoom(alice, {
        room_version: version,
        initial_state: [
          {
            type: 'm.room.join_rules',
            content: { join_rule: 'restricted', allow: [{ type: 'm.room_membership', room_id: space }] },
          },
        ],
      })
      expect(await join(bob, roomId)).toMatchObject(forbidden)
      await join(bob, space)
      expect(await join(bob, roomId)).toMatchObject({ status: 200 })
      const { body } = await getState(alice, roomId, 'm.room.member', bob.userId)
      expect(body).toMatchObject({ membership: 'join', join_authorised_via_users_server: alice.userId })
    },
  )

  it.each(['10', '11', '12'])(
    'lets in members of an allowed room where others may knock (version %s)',
    async (version) => {
      const space = await newRoom(alice, { preset: 'public_chat' })
      const roomId = await newRoom(alice, {
        room_version: version,
        initial_state: [
          {
            type: 'm.room.join_rules',
            content: { join_rule: 'knock_restricted', allow: [{ type: 'm.room_membership', room_id: space }] },
          },
        ],
      })
      expect(await join(bob, roomId)).toMatchObject(forbidden)
      expect(await knock(bob, roomId)).toMatchObject({ status: 200 })
      await join(bob, space)
      expect(await join(bob, roomId)).toMatchObject({ status: 200 })
      const { body } = await getState(alice, roomId, 'm.room.member', bob.userId)
      expect(body).toMatchObject({ membership: 'join', join_authorised_via_users_server: alice.userId })
      await leave(bob, roomId)
      await act(alice, 'invite', roomId, bob)
      await leave(bob, space)
      // "If the user has an invite to the room then the restrictions will not affect them."
      expect(await join(bob, roomId)).toMatchObject({ status: 200 })
      // "The user does not need to maintain the conditions in order to stay a member of the room."
      expect(await setState(bob, roomId, 'm.room.member', { membership: 'join' }, bob.userId)).toMatchObject({
        status: 200,
      })
    },
  )

  it('vouches for nobody where none of us has the power to invite', async () => {
    const space = await newRoom(alice, { preset: 'public_chat' })
    const roomId = await newRoom(alice, {
      room_version: '11',
      initial_state: [
        {
          type: 'm.room.join_rules',
          content: { join_rule: 'restricted', allow: [{ type: 'm.room_membership', room_id: space }] },
        },
      ],
    })
    await act(alice, 'invite', roomId, carol)
    await join(carol, roomId)
    const { body } = await getState(alice, roomId, 'm.room.power_levels')
    await setState(alice, roomId, 'm.room.power_levels', { ...body, invite: 50 })
    await leave(alice, roomId)
    await join(bob, space)
    expect(await join(bob, roomId)).toMatchObject({ status: 400, body: { errcode: 'M_UNABLE_TO_GRANT_JOIN' } })
  })
})

describe('client-server-api §Inviting, kicking, banning, leaving', () => {
  it('invites only by those in the room with the power for it', async () => {
    const roomId = await newRoom(alice, { preset: 'public_chat' })
    expect(await act(bob, 'invite', roomId, carol)).toMatchObject(forbidden)
    await join(bob, roomId)
    expect(await act(bob, 'invite', roomId, carol)).toMatchObject(forbidden)
    expect(await act(alice, 'invite', roomId, carol)).toMatchObject(done)
    expect(await act(alice, 'invite', roomId, carol)).toMatchObject(done)
    expect(await act(alice, 'invite', roomId, bob)).toMatchObject(forbidden)
    const nobody = { user_id: '@nobody:hearth.test' }
    expect(await alice.api.post(roomPath(roomId, '/invite'), nobody)).toMatchObject({
      status: 404,
      body: { errcode: 'M_NOT_FOUND' },
    })
    expect(await alice.api.post(roomPath(roomId, '/invite'), {})).toMatchObject({
      status: 400,
      body: { errcode: 'M_BAD_JSON' },
    })
  })

  it('answers M_INVITE_BLOCKED for who blocks invites, on the state endpoint too', async () => {
    const dave = await server.register('dave')
    await dave.api.put(
      `/_matrix/client/v3/user/${encodeURIComponent(dave.userId)}/account_data/m.invite_permission_config`,
      { default_action: 'block' },
    )
    const roomId = await newRoom(alice)
    const blocked = { status: 403, body: { errcode: 'M_INVITE_BLOCKED' } }
    expect(await act(alice, 'invite', roomId, dave)).toMatchObject(blocked)
    expect(await setState(alice, roomId, 'm.room.member', { membership: 'invite' }, dave.userId)).toMatchObject(blocked)
  })

  it('refuses to invite by an address, and says what such a request lacks', async () => {
    const roomId = await newRoom(alice)
    const address = { id_server: 'id.test', id_access_token: 'x', medium: 'email', address: 'bob@example.org' }
    const invite = (body: object) => alice.api.post(roomPath(roomId, '/invite'), body)
    expect(await invite(address)).toMatchObject({ status: 403, body: { errcode: 'M_THREEPID_DENIED' } })
    expect(await invite({ ...address, id_access_token: undefined })).toMatchObject({
      status: 400,
      body: { errcode: 'M_MISSING_PARAM' },
    })
    expect(await invite({ ...address, user_id: bob.userId })).toMatchObject(done)
  })

  it('shows who blocks invites none in syncs, also none from before', async () => {
    const erin = await server.register('nora')
    const block = (content: object) =>
      erin.api.put(
        `/_matrix/client/v3/user/${encodeURIComponent(erin.userId)}/account_data/m.invite_permission_config`,
        content,
      )
    const invited = async () =>
      Object.keys(
        (await erin.api.get<{ rooms?: { invite?: object } }>('/_matrix/client/v3/sync')).body.rooms?.invite ?? {},
      )
    const roomId = await newRoom(alice, { invite: [erin.userId] })
    await block({ default_action: 'block' })
    expect(await invited()).toEqual([])
    expect((await getState(alice, roomId, 'm.room.member', erin.userId)).body).toMatchObject({ membership: 'invite' })
    await block({})
    expect(await invited()).toEqual([roomId])
    expect(await join(erin, roomId)).toMatchObject(done)
    await block({ default_action: 'block' })
    expect((await erin.api.get('/_matrix/client/v3/joined_rooms')).body).toEqual({ joined_rooms: [roomId] })
  })

  it('turns down an invite', async () => {
    const roomId = await newRoom(alice, { invite: [bob.userId] })
    expect(await leave(bob, roomId, { reason: 'no' })).toMatchObject(done)
    expect((await getState(alice, roomId, 'm.room.member', bob.userId)).body).toEqual({
      membership: 'leave',
      reason: 'no',
    })
    expect(await bob.api.get(roomPath(roomId, '/state'))).toMatchObject(forbidden)
  })

  it('leaves, once; who never was there cannot', async () => {
    const roomId = await newRoom(alice, { preset: 'public_chat' })
    await join(bob, roomId)
    expect(await leave(bob, roomId)).toMatchObject(done)
    const events = (await history(alice, roomId)).length
    expect(await leave(bob, roomId)).toMatchObject(done)
    expect(await history(alice, roomId)).toHaveLength(events)
    expect(await leave(carol, roomId)).toMatchObject(forbidden)
    expect(await leave(carol, '!none:hearth.test')).toMatchObject(forbidden)
  })

  it('kicks with a reason who is in the room, and nobody else', async () => {
    const roomId = await newRoom(alice, { preset: 'public_chat' })
    await join(bob, roomId)
    await join(carol, roomId)
    expect(await act(carol, 'kick', roomId, bob)).toMatchObject(forbidden)
    expect(await act(alice, 'kick', roomId, bob, 'rude')).toMatchObject(done)
    expect((await getState(alice, roomId, 'm.room.member', bob.userId)).body).toEqual({
      membership: 'leave',
      reason: 'rude',
    })
    expect(await act(alice, 'kick', roomId, bob)).toMatchObject(forbidden)
    expect(await joinedRooms(bob)).not.toContain(roomId)
    await act(alice, 'ban', roomId, bob)
    expect(await act(alice, 'kick', roomId, bob)).toMatchObject(forbidden)
    expect(await membershipOf(alice, roomId, bob)).toBe('ban')
  })

  it('bans also who is not there, and unbans only who is banned', async () => {
    const roomId = await newRoom(alice, { preset: 'public_chat' })
    await join(carol, roomId)
    expect(await act(carol, 'ban', roomId, bob)).toMatchObject(forbidden)
    expect(await act(alice, 'unban', roomId, carol)).toMatchObject(forbidden)
    expect(await act(alice, 'ban', roomId, bob, 'spam')).toMatchObject(done)
    expect(await act(alice, 'invite', roomId, bob)).toMatchObject(forbidden)
    expect(await act(carol, 'unban', roomId, bob)).toMatchObject(forbidden)
    expect(await act(alice, 'unban', roomId, bob)).toMatchObject(done)
    expect(await membershipOf(alice, roomId, bob)).toBe('leave')
    expect(await join(bob, roomId)).toMatchObject({ status: 200 })
  })

  it('takes the ID of a room, not its alias', async () => {
    const roomId = await newRoom(alice, { preset: 'public_chat', room_alias_name: 'by-alias' })
    await join(bob, roomId)
    for (const action of ['invite', 'kick', 'ban', 'unban'] as const) {
      expect(await act(alice, action, '#by-alias:hearth.test', bob)).toMatchObject({
        status: 400,
        body: { errcode: 'M_INVALID_PARAM' },
      })
    }
    expect(await membershipOf(alice, roomId, bob)).toBe('join')
  })

  it('never lets the weaker act upon the stronger', async () => {
    const roomId = await newRoom(alice, { preset: 'public_chat', room_version: '11' })
    await join(bob, roomId)
    const { body } = await getState(alice, roomId, 'm.room.power_levels')
    await setState(alice, roomId, 'm.room.power_levels', { ...body, users: { [alice.userId]: 100, [bob.userId]: 50 } })
    expect(await act(bob, 'kick', roomId, alice)).toMatchObject(forbidden)
    expect(await act(bob, 'ban', roomId, alice)).toMatchObject(forbidden)
  })
})

describe('client-server-api §Knocking on rooms', () => {
  const knockable = (room_version = '12', join_rule = 'knock') =>
    newRoom(alice, { room_version, initial_state: [{ type: 'm.room.join_rules', content: { join_rule } }] })

  it.each(['7', '8', '9', '10', '11', '12'])('knocks, is let in, and joins (version %s)', async (version) => {
    const roomId = await knockable(version)
    expect(await knock(bob, roomId, { reason: 'please' })).toMatchObject({ status: 200, body: { room_id: roomId } })
    expect((await getState(alice, roomId, 'm.room.member', bob.userId)).body).toMatchObject({
      membership: 'knock',
      reason: 'please',
    })
    expect(await join(bob, roomId)).toMatchObject(forbidden)
    expect(await act(alice, 'invite', roomId, bob)).toMatchObject(done)
    expect(await join(bob, roomId)).toMatchObject({ status: 200 })
  })

  it('takes a knock back, and refuses one with a kick', async () => {
    const roomId = await knockable()
    await knock(bob, roomId)
    expect(await leave(bob, roomId)).toMatchObject(done)
    await knock(bob, roomId)
    expect(await act(alice, 'kick', roomId, bob)).toMatchObject(done)
    expect(await membershipOf(alice, roomId, bob)).toBe('leave')
  })

  it('lets only those answer a knock who have the power to invite, kick or ban', async () => {
    const roomId = await knockable()
    const { body: levels } = await getState(alice, roomId, 'm.room.power_levels')
    await setState(alice, roomId, 'm.room.power_levels', { ...levels, invite: 50 })
    await act(alice, 'invite', roomId, carol)
    await join(carol, roomId)
    await knock(bob, roomId)
    for (const action of ['invite', 'kick', 'ban'] as const) {
      expect(await act(carol, action, roomId, bob)).toMatchObject(forbidden)
    }
    expect(await membershipOf(alice, roomId, bob)).toBe('knock')
    const users = { [carol.userId]: 10 }
    await setState(alice, roomId, 'm.room.power_levels', { ...levels, users, invite: 10, kick: 10, ban: 50 })
    expect(await act(carol, 'kick', roomId, bob)).toMatchObject(done)
    await knock(bob, roomId)
    expect(await act(carol, 'invite', roomId, bob)).toMatchObject(done)
    expect(await join(bob, roomId)).toMatchObject({ status: 200 })
  })

  it('is refused where the room is not set up for it, to the banned and to members', async () => {
    const closed = await newRoom(alice)
    expect(await knock(bob, closed)).toMatchObject(forbidden)
    const roomId = await knockable()
    expect(await knock(alice, roomId)).toMatchObject(forbidden)
    await act(alice, 'ban', roomId, bob)
    expect(await knock(bob, roomId)).toMatchObject(forbidden)
    expect(await knock(bob, '#none:hearth.test')).toMatchObject({ status: 404 })
  })
})

describe('client-server-api §POST /rooms/{roomId}/forget', () => {
  it('is refused while the user is in the room; afterwards the room is gone for them', async () => {
    const roomId = await newRoom(alice, { preset: 'public_chat' })
    await join(bob, roomId)
    await send(bob, roomId, 'said')
    expect(await forget(bob, roomId)).toMatchObject({ status: 400, body: { errcode: 'M_UNKNOWN' } })
    await leave(bob, roomId)
    expect(await bob.api.get(roomPath(roomId, '/messages'), { dir: 'b' })).toMatchObject({ status: 200 })
    expect(await forget(bob, roomId)).toMatchObject(done)
    expect(await forget(bob, roomId)).toMatchObject(done)
    expect(await bob.api.get(roomPath(roomId, '/messages'), { dir: 'b' })).toMatchObject(forbidden)
    expect(await bob.api.get(roomPath(roomId, '/state'))).toMatchObject(forbidden)
    expect(await forget(carol, roomId)).toMatchObject({ status: 404 })
    await join(bob, roomId)
    expect(await bob.api.get(roomPath(roomId, '/messages'), { dir: 'b' })).toMatchObject({ status: 200 })
  })
})

describe('client-server-api §PUT /rooms/{roomId}/state of m.room.member', () => {
  it('sets memberships by the same checks as the endpoints for them', async () => {
    const roomId = await newRoom(alice, { preset: 'public_chat' })
    expect(await setState(bob, roomId, 'm.room.member', { membership: 'join', extra: 1 }, bob.userId)).toMatchObject({
      status: 200,
    })
    expect((await getState(alice, roomId, 'm.room.member', bob.userId)).body).toMatchObject({
      membership: 'join',
      extra: 1,
    })
    const changed = { membership: 'join', displayname: 'In this room' }
    expect(await setState(bob, roomId, 'm.room.member', changed, bob.userId)).toMatchObject({ status: 200 })
    expect((await getState(alice, roomId, 'm.room.member', bob.userId)).body.displayname).toBe('In this room')
    expect(await setState(bob, roomId, 'm.room.member', { membership: 'join' }, carol.userId)).toMatchObject(forbidden)
    expect(await setState(bob, roomId, 'm.room.member', { membership: 'ban' }, alice.userId)).toMatchObject(forbidden)
    for (const content of [{}, { membership: 'gone' }, { membership: 1 }]) {
      expect(await setState(alice, roomId, 'm.room.member', content, bob.userId)).toMatchObject({
        status: 400,
        body: { errcode: 'M_BAD_JSON' },
      })
    }
    expect(await setState(alice, roomId, 'm.room.member', { membership: 'invite' }, 'bob')).toMatchObject({
      status: 400,
    })
  })

  it('does not believe a client about who vouches for it', async () => {
    const space = await newRoom(alice, { preset: 'public_chat' })
    const roomId = await newRoom(alice, {
      initial_state: [
        {
          type: 'm.room.join_rules',
          content: { join_rule: 'restricted', allow: [{ type: 'm.room_membership', room_id: space }] },
        },
      ],
    })
    const content = { membership: 'join', join_authorised_via_users_server: alice.userId }
    expect(await setState(bob, roomId, 'm.room.member', content, bob.userId)).toMatchObject(forbidden)
  })
})

describe('a profile that changes', () => {
  it('is shown in all rooms that its user is in, and in no others', async () => {
    const erin = await server.register('erin')
    const rooms = [await newRoom(erin), await newRoom(erin), await newRoom(alice, { preset: 'public_chat' })]
    const left = await newRoom(alice, { preset: 'public_chat' })
    await join(erin, rooms[2] ?? '')
    await join(erin, left)
    await leave(erin, left)
    const profile = `/_matrix/client/v3/profile/${encodeURIComponent(erin.userId)}/displayname`
    await erin.api.put(profile, { displayname: 'Erin' })
    for (const roomId of rooms) {
      await expect
        .poll(async () => (await getState(erin, roomId, 'm.room.member', erin.userId)).body)
        .toMatchObject({ membership: 'join', displayname: 'Erin' })
    }
    expect((await getState(alice, left, 'm.room.member', erin.userId)).body).toEqual({ membership: 'leave' })
  })

  it('leaves no one behind: who is deactivated leaves their rooms', async () => {
    const frank = await server.register('frank')
    const roomId = await newRoom(alice, { preset: 'public_chat', invite: [] })
    const invited = await newRoom(alice, { invite: [frank.userId] })
    await join(frank, roomId)
    const auth = {
      type: 'm.login.password',
      identifier: { type: 'm.id.user', user: 'frank' },
      password: 'password of frank',
    }
    const path = '/_matrix/client/v3/account/deactivate'
    const challenge = await frank.api.post<{ session: string }>(path, {})
    expect(await frank.api.post(path, { auth: { ...auth, session: challenge.body.session } })).toMatchObject({
      status: 200,
    })
    for (const room of [roomId, invited]) {
      await expect.poll(() => membershipOf(alice, room, frank)).toBe('leave')
    }
    expect(await allState(alice, roomId)).not.toHaveLength(0)
  })
})
