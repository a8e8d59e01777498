import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join as joinPath } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { registerAdmin } from '../support/admin.ts'
import { manualClock } from '../support/manual-clock.ts'
import { getState, join, newRoom, roomPath, send, setState } from '../support/room-calls.ts'
import { type Person, startTestServer, type TestServer } from '../support/test-server.ts'

const V3 = '/_matrix/client/v3'
const SETTING = '/_hearth/client/v1/guest_access'
const DAY_MS = 24 * 60 * 60_000
const forbidden = { status: 403, body: { errcode: 'M_GUEST_ACCESS_FORBIDDEN' } }
const open = {
  preset: 'public_chat',
  initial_state: [{ type: 'm.room.guest_access', content: { guest_access: 'can_join' } }],
}

async function newGuest(server: TestServer, body: Record<string, unknown> = {}): Promise<Person> {
  const made = await server.api().post(`${V3}/register?kind=guest`, body)
  if (made.status !== 200) throw new Error(`no guest: ${made.status} ${JSON.stringify(made.body)}`)
  const { user_id, device_id, access_token } = made.body as Record<string, string>
  const accessToken = access_token ?? ''
  return { userId: user_id ?? '', deviceId: device_id ?? '', accessToken, api: server.api(accessToken) }
}

const membershipOf = async (by: Person, roomId: string, userId: string): Promise<unknown> =>
  (await getState(by, roomId, 'm.room.member', userId)).body.membership

let server: TestServer
let root: Person
let alice: Person
beforeAll(async () => {
  server = await startTestServer()
  root = await registerAdmin(server, 'root')
  alice = await server.register('alice')
})
afterAll(() => server[Symbol.asyncDispose]())

describe('guest access, turned on by an administrator', () => {
  it('is off at first', async () => {
    expect((await root.api.get(SETTING)).body).toEqual({ allowed: false, guests: 0 })
    expect(await server.api().post(`${V3}/register?kind=guest`, {})).toMatchObject(forbidden)
  })

  it('is for administrators to turn on', async () => {
    const refused = { status: 403, body: { errcode: 'M_FORBIDDEN' } }
    expect(await alice.api.get(SETTING)).toMatchObject(refused)
    expect(await alice.api.put(SETTING, { allowed: true })).toMatchObject(refused)
    expect((await root.api.put(SETTING, { allowed: true })).status).toBe(200)
    expect((await root.api.get(SETTING)).body).toEqual({ allowed: true, guests: 0 })
  })
})

describe('client-server-api §Guest Access', () => {
  it('makes a guest without any authentication, and ignores all of the body but the name of the device', async () => {
    const guest = await newGuest(server, {
      username: 'alice',
      password: 'correct horse battery',
      device_id: 'CHOSEN',
      initial_device_display_name: 'A library',
      inhibit_login: true,
      refresh_token: true,
      type: 'm.login.application_service',
    })
    expect(guest.userId).not.toBe(alice.userId)
    expect(guest.deviceId).not.toBe('CHOSEN')
    expect((await guest.api.get(`${V3}/account/whoami`)).body).toEqual({
      user_id: guest.userId,
      device_id: guest.deviceId,
      is_guest: true,
    })
    expect((await guest.api.get(`${V3}/devices/${guest.deviceId}`)).body).toMatchObject({ display_name: 'A library' })
    expect((await alice.api.get(`${V3}/account/whoami`)).body).toMatchObject({ is_guest: false })
    const login = { type: 'm.login.password', identifier: { type: 'm.id.user', user: guest.userId } }
    const loggedIn = await server.api().post(`${V3}/login`, { ...login, password: 'correct horse battery' })
    expect(loggedIn).toMatchObject({ status: 403, body: { errcode: 'M_FORBIDDEN' } })
  })

  it('lets guests join where the room allows it, talk, set state and leave', async () => {
    const guest = await newGuest(server)
    const roomId = await newRoom(alice, { ...open, power_level_content_override: { events: { 'm.room.topic': 0 } } })
    expect((await join(guest, roomId)).status).toBe(200)
    await send(guest, roomId, 'hello')
    expect((await setState(guest, roomId, 'm.room.topic', { topic: 'of a guest' })).status).toBe(200)
    expect((await guest.api.get(roomPath(roomId, '/members'))).status).toBe(200)
    expect((await guest.api.get(roomPath(roomId, '/messages?dir=b'))).status).toBe(200)
    expect((await guest.api.get(roomPath(roomId, '/initialSync'))).status).toBe(200)
    expect((await guest.api.get(`${V3}/sync`)).body.rooms).toMatchObject({ join: { [roomId]: {} } })
    expect((await guest.api.post(roomPath(roomId, '/leave'), {})).status).toBe(200)
  })

  it.each([
    ['has no m.room.guest_access', { preset: 'public_chat' }],
    [
      'says forbidden',
      {
        preset: 'public_chat',
        initial_state: [{ type: 'm.room.guest_access', content: { guest_access: 'forbidden' } }],
      },
    ],
  ])('keeps guests out of a room that %s, invited or not', async (_, wish) => {
    const guest = await newGuest(server)
    const roomId = await newRoom(alice, { ...wish, invite: [guest.userId] })
    if (!('initial_state' in wish)) await setState(alice, roomId, 'm.room.guest_access', { guest_access: 'forbidden' })
    expect(await join(guest, roomId)).toMatchObject(forbidden)
    const byState = await setState(guest, roomId, 'm.room.member', { membership: 'join' }, guest.userId)
    expect(byState).toMatchObject(forbidden)
  })

  it.each([
    ['post', '/createRoom', {}],
    ['post', '/rooms/!r:hearth.test/invite', { user_id: '@a:hearth.test' }],
    ['post', '/knock/!r:hearth.test', {}],
    ['post', '/publicRooms', {}],
    ['get', '/joined_rooms', undefined],
    ['get', '/pushrules/', undefined],
    ['post', '/account/password', { new_password: 'correct horse battery' }],
    ['post', '/account/deactivate', {}],
    ['post', '/keys/device_signing/upload', {}],
    ['post', '/user_directory/search', { search_term: 'a' }],
    ['put', '/presence/@a:hearth.test/status', { presence: 'online' }],
  ] as const)('refuses guests %s %s', async (method, path, body) => {
    const guest = await newGuest(server)
    expect(await guest.api[method](`${V3}${path}`, body)).toMatchObject(forbidden)
  })

  it('refuses guests uploads', async () => {
    const guest = await newGuest(server)
    expect(await guest.api.post('/_matrix/media/v3/upload', {})).toMatchObject(forbidden)
  })

  it('lets guests change their display name and no other field', async () => {
    const guest = await newGuest(server)
    const profile = `${V3}/profile/${guest.userId}`
    expect((await guest.api.put(`${profile}/displayname`, { displayname: 'Visitor' })).status).toBe(200)
    expect(await guest.api.put(`${profile}/avatar_url`, { avatar_url: 'mxc://a/b' })).toMatchObject(forbidden)
    expect(await guest.api.put(`${V3}/profile/${alice.userId}/displayname`, { displayname: 'X' })).toMatchObject({
      status: 403,
      body: { errcode: 'M_FORBIDDEN' },
    })
    expect((await guest.api.delete(`${profile}/displayname`)).status).toBe(200)
    expect(await guest.api.delete(`${profile}/avatar_url`)).toMatchObject(forbidden)
  })

  it('lets guests set no membership but their own joining and leaving', async () => {
    const guest = await newGuest(server)
    const roomId = await newRoom(alice, open)
    await join(guest, roomId)
    const invite = await setState(guest, roomId, 'm.room.member', { membership: 'invite' }, root.userId)
    expect(invite).toMatchObject(forbidden)
    expect((await setState(guest, roomId, 'm.room.member', { membership: 'leave' }, guest.userId)).status).toBe(200)
  })

  it('makes guests leave when the room forbids them, and nobody else', async () => {
    const guest = await newGuest(server)
    const roomId = await newRoom(alice, open)
    const bob = await server.register('bob')
    await join(guest, roomId)
    await join(bob, roomId)
    await setState(alice, roomId, 'm.room.guest_access', { guest_access: 'forbidden' })
    await expect.poll(() => membershipOf(alice, roomId, guest.userId)).toBe('leave')
    expect(await membershipOf(alice, roomId, bob.userId)).toBe('join')
    expect(await join(guest, roomId)).toMatchObject(forbidden)
  })

  it('does not show guests in the directory of people', async () => {
    const guest = await newGuest(server)
    await guest.api.put(`${V3}/profile/${guest.userId}/displayname`, { displayname: 'Wanderer' })
    const found = await alice.api.post(`${V3}/user_directory/search`, { search_term: 'Wanderer' })
    expect(found.body.results).toEqual([])
  })

  it('keeps events of a guest that were scheduled to what the guest may do', async () => {
    const guest = await newGuest(server)
    const roomId = await newRoom(alice, open)
    await join(guest, roomId)
    const wish = roomPath(roomId, `/state/m.room.member/${alice.userId}?org.matrix.msc4140.delay=1`)
    const scheduled = await guest.api.put(wish, { membership: 'invite' })
    if (scheduled.status === 200) {
      const { delay_id } = scheduled.body as { delay_id: string }
      const url = `/_matrix/client/unstable/org.matrix.msc4140/delayed_events/${delay_id}/send`
      await server.api().post(url, {})
    }
    expect(await membershipOf(alice, roomId, alice.userId)).toBe('join')
  })
})

describe('client-server-api §Guest Access, upgrading', () => {
  const upgrade = (guest: Person, more: Record<string, unknown> = {}) =>
    server.api().post(`${V3}/register`, {
      username: guest.userId.slice(1).split(':')[0],
      password: 'correct horse battery',
      guest_access_token: guest.accessToken,
      auth: { type: 'm.login.dummy' },
      ...more,
    })

  it('makes the guest a full account with the same user ID, in the same rooms', async () => {
    const guest = await newGuest(server)
    const roomId = await newRoom(alice, open)
    await join(guest, roomId)
    const made = await upgrade(guest)
    expect(made).toMatchObject({ status: 200, body: { user_id: guest.userId } })
    const full = server.api(made.body.access_token as string)
    expect((await full.get(`${V3}/account/whoami`)).body).toMatchObject({ is_guest: false })
    expect((await full.get(`${V3}/joined_rooms`)).body).toEqual({ joined_rooms: [roomId] })
    await setState(alice, roomId, 'm.room.guest_access', { guest_access: 'forbidden' })
    expect((await full.get(`${V3}/joined_rooms`)).body).toEqual({ joined_rooms: [roomId] })
    const old = await guest.api.get(`${V3}/account/whoami`)
    expect(old).toMatchObject({ status: 401, body: { errcode: 'M_UNKNOWN_TOKEN' } })
    expect(await upgrade(guest)).toMatchObject({ status: 403, body: { errcode: 'M_FORBIDDEN' } })
  })

  it("goes on with the guest's device where the client names it, and with its token where no login is wanted", async () => {
    const named = await newGuest(server)
    const made = await upgrade(named, { device_id: named.deviceId })
    expect(made.body).toMatchObject({ device_id: named.deviceId })
    const silent = await newGuest(server)
    expect((await upgrade(silent, { inhibit_login: true })).body).toEqual({ user_id: silent.userId })
    expect((await silent.api.get(`${V3}/account/whoami`)).body).toMatchObject({ is_guest: false })
  })

  it('wants the name of the guest and the token of a guest', async () => {
    const guest = await newGuest(server)
    const refused = { status: 403, body: { errcode: 'M_FORBIDDEN' } }
    expect(await upgrade(guest, { username: 'alice' })).toMatchObject(refused)
    expect(await upgrade(guest, { username: 'somebody-else' })).toMatchObject(refused)
    expect(await upgrade(guest, { guest_access_token: alice.accessToken })).toMatchObject(refused)
    expect(await upgrade(alice)).toMatchObject(refused)
    expect(await upgrade(guest, { username: undefined })).toMatchObject({
      status: 400,
      body: { errcode: 'M_MISSING_PARAM' },
    })
    const { guest_access_token: _, ...taken } = {
      guest_access_token: '',
      username: guest.userId.slice(1).split(':')[0],
    }
    const without = await server.api().post(`${V3}/register`, { ...taken, password: 'correct horse battery' })
    expect(without).toMatchObject({ status: 400, body: { errcode: 'M_USER_IN_USE' } })
  })

  it('keeps a suspended guest suspended', async () => {
    const guest = await newGuest(server)
    await root.api.put(`/_matrix/client/v1/admin/suspend/${guest.userId}`, { suspended: true })
    const made = await upgrade(guest)
    const full = server.api(made.body.access_token as string)
    expect(await full.post(`${V3}/createRoom`, {})).toMatchObject({
      status: 403,
      body: { errcode: 'M_USER_SUSPENDED' },
    })
  })
})

describe('the end of guests', () => {
  it('comes to guests who were not seen for 30 days, who leave their rooms', async () => {
    const clock = manualClock()
    await using home = await startTestServer({ clock })
    const admin = await registerAdmin(home, 'root')
    await admin.api.put(SETTING, { allowed: true })
    const [gone, here] = [await newGuest(home), await newGuest(home)]
    const roomId = await newRoom(admin, open)
    await join(gone, roomId)
    for (let day = 0; day < 31; day += 1) {
      clock.advance(DAY_MS)
      expect((await here.api.get(`${V3}/account/whoami`)).status).toBe(200)
    }
    await expect.poll(() => membershipOf(admin, roomId, gone.userId)).toBe('leave')
    expect((await gone.api.get(`${V3}/account/whoami`)).status).toBe(401)
    expect((await here.api.get(`${V3}/account/whoami`)).status).toBe(200)
    expect((await admin.api.get(SETTING)).body).toEqual({ allowed: true, guests: 1 })
  })

  it('comes to guests who have logged out, who could not come back', async () => {
    const clock = manualClock()
    await using home = await startTestServer({ clock })
    const admin = await registerAdmin(home, 'root')
    await admin.api.put(SETTING, { allowed: true })
    const guest = await newGuest(home)
    const roomId = await newRoom(admin, open)
    await join(guest, roomId)
    expect((await guest.api.post(`${V3}/logout`)).status).toBe(200)
    clock.advance(DAY_MS)
    await expect.poll(() => membershipOf(admin, roomId, guest.userId)).toBe('leave')
  })

  it('comes to all guests when guest access is turned off, and after a restart', async () => {
    const dataDir = await mkdtemp(joinPath(tmpdir(), 'hearth-guests-'))
    try {
      let roomId: string
      let guest: Person
      {
        await using home = await startTestServer({ dataDir })
        const admin = await registerAdmin(home, 'root')
        await admin.api.put(SETTING, { allowed: true })
        guest = await newGuest(home)
        roomId = await newRoom(admin, open)
        await join(guest, roomId)
        expect((await admin.api.put(SETTING, { allowed: false })).status).toBe(200)
      }
      await using again = await startTestServer({ dataDir })
      const admin = await again.login('root')
      await expect.poll(() => membershipOf(admin, roomId, guest.userId)).toBe('leave')
      await expect.poll(async () => (await admin.api.get(SETTING)).body.guests).toBe(0)
      expect((await again.api(guest.accessToken).get(`${V3}/account/whoami`)).status).toBe(401)
      expect(await again.api().post(`${V3}/register?kind=guest`, {})).toMatchObject(forbidden)
    } finally {
      await rm(dataDir, { recursive: true, force: true })
    }
  })
})

describe('client-server-api §Guest Access, Security considerations', () => {
  it('lets guests do less than others, and state events least', async () => {
    await using home = await startTestServer({ config: { rate_limits: { enabled: true } }, clock: manualClock() })
    const admin = await registerAdmin(home, 'root')
    await admin.api.put(SETTING, { allowed: true })
    const guest = await newGuest(home)
    const roomId = await newRoom(admin, { ...open, power_level_content_override: { state_default: 0 } })
    await join(guest, roomId)
    const states = []
    for (let at = 0; at < 6; at += 1)
      states.push((await setState(guest, roomId, 'm.room.topic', { topic: `${at}` })).status)
    expect(states).toEqual([200, 200, 200, 200, 200, 429])
    const made = []
    for (let at = 0; at < 5; at += 1) made.push((await home.api().post(`${V3}/register?kind=guest`, {})).status)
    expect(made).toEqual([200, 200, 200, 200, 429])
  })
})
